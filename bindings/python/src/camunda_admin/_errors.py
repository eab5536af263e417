"""Exceptions, one class per kind of error.

The response body is available as `body` only: neither the message nor the `repr` of an exception
contains it. Must not depend on ctypes.
"""

import builtins
from typing import Any, Dict, Literal, Optional, Tuple, Type

__all__ = [
    "CamundaError",
    "AuthenticationError",
    "PermissionDeniedError",
    "NotFoundError",
    "ConflictError",
    "RateLimitedError",
    "NotReadyError",
    "InvalidRequestError",
    "InvalidArgumentError",
    "ConfigError",
    "ServiceError",
    "NetworkError",
    "TimeoutError",
    "CancelledError",
    "OutcomeUnknownError",
    "DecodeError",
    "WaitFailedError",
    "FileError",
    "InternalError",
]

#: Whether an operation that failed was executed; see `CamundaError.outcome`.
Outcome = Literal["not_sent", "rejected", "unknown", "completed"]


class CamundaError(Exception):
    """Base class of all exceptions of this package. `str()` is one line without secrets."""

    #: The kind of error, such as `not_found`.
    kind = "internal"

    #: The error message: one line.
    message: str
    #: The HTTP status, or None if no response was received.
    http_status: Optional[int]
    #: The stage at which the call failed: `config`, `token`, `request` or `decode`.
    stage: str
    #: Whether the operation was executed. `not_sent`: no request was sent. `rejected`: the API returned
    #: an error response. In both cases it was not executed. `completed`: it was executed, but the
    #: response was lost or cannot be decoded. `unknown`: it may have been executed; check before you
    #: retry it. Waiters change nothing: they report `not_sent` or `rejected`.
    outcome: Outcome
    #: The error message of the API, or None if the response has none.
    server_message: Optional[str]
    #: The response body, unmodified, or None. If a response that the API returns only once could not be
    #: decoded, for example one with a client's secret, only this attribute has it: save it, but do not
    #: log it. `print(error.body)` shows `<hidden>`: use `bytes(error.body)` or `error.body.decode()`.
    body: Optional[bytes]
    #: Seconds to wait before a retry, or None if neither the API nor the rate limit states a time.
    retry_after: Optional[float]
    #: Number of requests of which at least one byte was sent, including those of a waiter's polls and
    #: excluding token requests. 0 if the connection could not be established.
    attempts: int
    #: The request id that the API returned, for its support, or None.
    request_id: Optional[str]
    #: The name of the operation, such as `create cluster`.
    operation: Optional[str]
    #: The HTTP method of the request.
    method: Optional[str]
    #: The path of the request.
    path: Optional[str]
    #: Seconds from the start of the call until it failed.
    elapsed: Optional[float]

    def __init__(
        self,
        message: str,
        *,
        http_status: Optional[int] = None,
        stage: str = "config",
        outcome: Outcome = "not_sent",
        server_message: Optional[str] = None,
        body: Optional[bytes] = None,
        retry_after: Optional[float] = None,
        attempts: int = 0,
        request_id: Optional[str] = None,
        operation: Optional[str] = None,
        method: Optional[str] = None,
        path: Optional[str] = None,
        elapsed: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.stage = stage
        self.outcome = outcome
        self.server_message = server_message
        self.body = body
        self.retry_after = retry_after
        self.attempts = attempts
        self.request_id = request_id
        self.operation = operation
        self.method = method
        self.path = path
        self.elapsed = elapsed

    @property
    def status(self) -> int:
        """The kind of error as a number of the C ABI: `CAMUNDA_STATUS_…`."""
        return _STATUS_OF_KIND[self.kind]

    def __str__(self) -> str:
        # Some built-in base classes, such as OSError, have another format.
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        # The workers of a process pool return their exceptions pickled.
        return _rebuild, (type(self).__name__, self.message, dict(self.__dict__))


class AuthenticationError(CamundaError):
    """HTTP 401 Unauthorized, or the token endpoint rejected the client credentials."""

    kind = "authentication"


class PermissionDeniedError(CamundaError):
    """HTTP 403 Forbidden: missing permission, quota exceeded, or a cluster of another organization."""

    kind = "permission_denied"


class NotFoundError(CamundaError):
    """HTTP 404 Not Found: no such cluster, client, backup, …"""

    kind = "not_found"


class ConflictError(CamundaError):
    """HTTP 409 Conflict: the current state of the resource does not allow the operation.

    `server_message` has the reason.
    """

    kind = "conflict"


class RateLimitedError(CamundaError):
    """HTTP 429 Too Many Requests, or the rate limit of token requests; see `retry_after`."""

    kind = "rate_limited"


class NotReadyError(CamundaError):
    """HTTP 412 Precondition Failed: the resource is not ready yet; retry later."""

    kind = "not_ready"


class InvalidRequestError(CamundaError):
    """Any other HTTP 4xx: the API rejected the request."""

    kind = "invalid_request"


class InvalidArgumentError(CamundaError, ValueError):
    """An argument is not valid: empty, of the wrong type, or with a `.` or `..` path segment.

    No request was sent.
    """

    kind = "invalid_argument"


class ConfigError(CamundaError):
    """A setting is missing or not valid; the message has its name or that of the variable."""

    kind = "config"


class ServiceError(CamundaError):
    """HTTP 5xx: the API failed."""

    kind = "service"


class NetworkError(CamundaError):
    """Connection failed or lost, or a TLS or HTTP protocol error."""

    kind = "network"


class TimeoutError(CamundaError, builtins.TimeoutError):
    """The deadline was exceeded. Also a built-in `TimeoutError`."""

    kind = "timeout"


class CancelledError(CamundaError):
    """The call was cancelled with a `Cancel`."""

    kind = "cancelled"


class OutcomeUnknownError(CamundaError):
    """A change was or may have been applied, but no complete, valid response was received.

    Check before you retry the change. `outcome` is `completed` or `unknown`, and the message has what
    to check. If a response was received and could not be decoded, `body` has it.

    Each exception is also an instance of the class of the error (`TimeoutError`, for example): catch
    this class before the others. Reads and waiters change nothing and never raise it.
    """


class DecodeError(CamundaError):
    """The response cannot be decoded: invalid JSON, or not of the documented type; see `body`."""

    kind = "decode"


class WaitFailedError(CamundaError):
    """A waiter failed: the resource reached a final state other than the expected one."""

    kind = "wait_failed"


class FileError(CamundaError, OSError):
    """A file could not be read or written. Also an `OSError`."""

    kind = "io"


class InternalError(CamundaError):
    """A bug in this library; please report it."""

    kind = "internal"


class ArgumentTypeError(InvalidArgumentError, TypeError):
    """An argument is of the wrong type. Also a `TypeError`."""


# In the order of `CAMUNDA_STATUS_…`, from 1.
_CLASSES: Tuple[Type[CamundaError], ...] = (
    InvalidArgumentError,
    ConfigError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    ConflictError,
    NotReadyError,
    InvalidRequestError,
    RateLimitedError,
    ServiceError,
    TimeoutError,
    CancelledError,
    NetworkError,
    DecodeError,
    WaitFailedError,
    FileError,
    InternalError,
)
_STATUS_OF_KIND = {each.kind: number for number, each in enumerate(_CLASSES, 1)}


def _with_unknown_outcome(kind: Type[CamundaError]) -> Type[CamundaError]:
    name = f"OutcomeUnknown{kind.__name__}"
    doc = f"`OutcomeUnknownError` and `{kind.__name__}`."
    fields = {"__doc__": doc, "__module__": __name__, "kind": kind.kind}
    return type(name, (OutcomeUnknownError, kind), fields)


_UNKNOWN_OUTCOME = tuple(map(_with_unknown_outcome, _CLASSES))
_BY_NAME: Dict[str, Type[CamundaError]] = {
    each.__name__: each
    for each in (*_CLASSES, *_UNKNOWN_OUTCOME, CamundaError, OutcomeUnknownError, ArgumentTypeError)
}


def error_class(status: int, may_have_been_applied: bool) -> Type[CamundaError]:
    """Return the class for a status of the C ABI; a base class for a status of a newer library."""
    classes = _UNKNOWN_OUTCOME if may_have_been_applied else _CLASSES
    if 1 <= status <= len(classes):
        return classes[status - 1]
    return OutcomeUnknownError if may_have_been_applied else CamundaError


def _rebuild(name: str, message: str, fields: Dict[str, Any]) -> CamundaError:
    error = _BY_NAME.get(name, CamundaError)(message)
    error.__dict__.update(fields)
    return error
