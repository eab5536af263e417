"""The exceptions: a tree with one class per kind of failure.

Knows nothing of ctypes. Bodies of answers are in `body` and nowhere else: neither in the text of an
exception nor in its `repr`.
"""

import builtins
from typing import Any, Dict, Optional, Tuple, Type

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


class CamundaError(Exception):
    """Why a call failed. `str()` is one line that a person can act on, without secrets."""

    #: The kind of failure, such as `not_found`.
    kind = "internal"

    #: The whole line.
    message: str
    #: The HTTP status, where the service answered.
    http_status: Optional[int]
    #: Where it went wrong: `config`, `token`, `request` or `decode`.
    stage: str
    #: What became of the operation. `not sent` and `refused` are certain: it was not done. `done` is
    #: certain as well: it was applied, but its response was lost or cannot be decoded. After `unknown`,
    #: check before you repeat a change. Waiters change nothing: `not sent` or `refused`.
    outcome: str
    #: The service's own words, where it said any.
    server_message: Optional[str]
    #: The answer as it came. Where it is one that is given only once, a client's secret, say, and
    #: could not be decoded, this is the only place that has it: keep it safe, and out of logs. Its
    #: `repr` does not show it; `bytes(body)` and `body.decode()` do.
    body: Optional[bytes]
    #: How many seconds to wait before asking again, where the service or the pacing says so.
    retry_after: Optional[float]
    #: Number of requests of which at least one byte was sent, including those of a waiter's polls and
    #: excluding token requests. 0 if the connection could not be established.
    attempts: int
    #: The service's name for the request, to quote to its support.
    request_id: Optional[str]
    #: The operation by its plain name, such as `create cluster`.
    operation: Optional[str]
    #: The HTTP method of the request.
    method: Optional[str]
    #: The path of the request.
    path: Optional[str]
    #: How many seconds the call took until it failed.
    elapsed: Optional[float]

    def __init__(
        self,
        message: str,
        *,
        http_status: Optional[int] = None,
        stage: str = "config",
        outcome: str = "not_sent",
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
        """The kind of failure as the C ABI numbers it: `CAMUNDA_STATUS_…`."""
        return _STATUS_OF_KIND[self.kind]

    def __str__(self) -> str:
        # Some of the built-in classes among the ancestors word their own text.
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        # Workers of a process pool send their exceptions home pickled.
        return _rebuild, (type(self).__name__, self.message, dict(self.__dict__))


class AuthenticationError(CamundaError):
    """The service (401) or the token endpoint does not accept the credentials."""

    kind = "authentication"


class PermissionDeniedError(CamundaError):
    """403: the credentials lack a permission, a quota is used up, or the cluster is another's."""

    kind = "permission_denied"


class NotFoundError(CamundaError):
    """404: no such cluster, client, backup, …"""

    kind = "not_found"


class ConflictError(CamundaError):
    """409: the state of the thing forbids it; `server_message` says how."""

    kind = "conflict"


class RateLimitedError(CamundaError):
    """429, or the pacing of token requests; see `retry_after`."""

    kind = "rate_limited"


class NotReadyError(CamundaError):
    """412: not ready yet; try later."""

    kind = "not_ready"


class InvalidRequestError(CamundaError):
    """Any other 4xx: the service understood the request and refuses it."""

    kind = "invalid_request"


class InvalidArgumentError(CamundaError, ValueError):
    """An argument is not usable: empty, of the wrong kind, a path trick. Nothing was sent."""

    kind = "invalid_argument"


class ConfigError(CamundaError):
    """A setting is missing or not usable; the message names the setting or the variable."""

    kind = "config"


class ServiceError(CamundaError):
    """5xx: the service failed."""

    kind = "service"


class NetworkError(CamundaError):
    """No connection, a broken one, TLS or HTTP violated."""

    kind = "network"


class TimeoutError(CamundaError, builtins.TimeoutError):
    """The deadline passed. Also the built-in `TimeoutError`."""

    kind = "timeout"


class CancelledError(CamundaError):
    """Cancelled by the caller."""

    kind = "cancelled"


class OutcomeUnknownError(CamundaError):
    """A change was applied or may have been applied, although its complete, usable response did not arrive.

    Check before you repeat the change: the message says which of the two it is and what to look for,
    and `outcome` is `unknown` or `done`. If the response arrived and could not be decoded, `body` has
    it.

    The exception is also of the class of the failure (`TimeoutError`, for example), so catch this
    class before the others. Reads and waiters change nothing and never raise it.
    """


class DecodeError(CamundaError):
    """The answer arrived and is not what was described; see `body`."""

    kind = "decode"


class WaitFailedError(CamundaError):
    """What was waited for cannot come any more: the state reached is final."""

    kind = "failed"


class FileError(CamundaError, OSError):
    """A file could not be read or written. Also an `OSError`."""

    kind = "io"


class InternalError(CamundaError):
    """A defect of this library."""

    kind = "internal"


class ArgumentTypeError(InvalidArgumentError, TypeError):
    """An argument is of the wrong type. Also a `TypeError`."""


# In the order of the numbers of the C ABI, from 1.
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
    """The class for a number of the C ABI, one of a newer library included."""
    classes = _UNKNOWN_OUTCOME if may_have_been_applied else _CLASSES
    if 1 <= status <= len(classes):
        return classes[status - 1]
    return OutcomeUnknownError if may_have_been_applied else CamundaError


def _rebuild(name: str, message: str, fields: Dict[str, Any]) -> CamundaError:
    error = _BY_NAME.get(name, CamundaError)(message)
    error.__dict__.update(fields)
    return error
