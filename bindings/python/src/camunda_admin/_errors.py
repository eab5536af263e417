"""Exceptions, one class per kind of error.

The response body is available as `body` only: neither the message nor the `repr` of an exception
contains it. Must not depend on ctypes.
"""

from __future__ import annotations

import builtins
import errno as _errno

from ._lazy import t, types

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
    "ArgumentTypeError",
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
    """Base class of all exceptions of this package. `str()` is one line without secrets.

    Attributes:
        kind: The kind of error, such as `not_found`.
        message: The error message: one line.
        http_status: The HTTP status, or None if no response was received.
        stage: The stage at which the call failed: `config`, `token`, `request` or `decode`.
        outcome: Whether the operation was executed. `not_sent`: no request was sent. `rejected`: the API
            returned an error response. In both cases it was not executed. `completed`: it was executed,
            but the response was lost or cannot be decoded. `unknown`: it may have been executed; check
            before you retry it. Waiters change nothing: they report `not_sent` or `rejected`.
        server_message: The error message of the API, or None if the response has none.
        body: The response body, unmodified, or None. If a response that the API returns only once could
            not be decoded, for example one with a client's secret, only this attribute has it: save it,
            but do not log it. `print(error.body)` shows `<hidden>`: use `bytes(error.body)` or
            `error.body.decode()`.
        retry_after: Seconds to wait before a retry, or None if neither the API nor the rate limit states
            a time.
        attempts: Number of requests of which at least one byte was sent, including those of a waiter's
            polls and excluding token requests. 0 if the connection could not be established.
        request_id: The request id that the API returned, for its support, or None.
        operation: The name of the operation, such as `create cluster`, or None.
        method: The HTTP method of the request, or None.
        path: The path of the request, or None.
        elapsed: Seconds from the start of the call until it failed, or None.
    """

    kind: str = "internal"

    def __init__(
        self,
        message: str,
        *,
        http_status: t.Optional[int] = None,
        stage: types.Stage = "config",
        outcome: types.Outcome = "not_sent",
        server_message: t.Optional[str] = None,
        body: t.Optional[bytes] = None,
        retry_after: t.Optional[float] = None,
        attempts: int = 0,
        request_id: t.Optional[str] = None,
        operation: t.Optional[str] = None,
        method: t.Optional[types.Method] = None,
        path: t.Optional[str] = None,
        elapsed: t.Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.message: str = message
        self.http_status: t.Optional[int] = http_status
        self.stage: types.Stage = stage
        self.outcome: types.Outcome = outcome
        self.server_message: t.Optional[str] = server_message
        self.body: t.Optional[bytes] = body
        self.retry_after: t.Optional[float] = retry_after
        self.attempts: int = attempts
        self.request_id: t.Optional[str] = request_id
        self.operation: t.Optional[str] = operation
        self.method: t.Optional[types.Method] = method
        self.path: t.Optional[str] = path
        self.elapsed: t.Optional[float] = elapsed

    @property
    def abi_status(self) -> int:
        """The kind of error as a number of the C ABI: `CAMUNDA_STATUS_…`. Not the HTTP status."""
        return _STATUS_OF_KIND[self.kind]

    def __str__(self) -> str:
        # Some built-in base classes, such as OSError, have another format.
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        # The workers of a process pool return their exceptions pickled.
        return type(self), (self.message,), dict(self.__dict__)


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
    """An argument is not valid, for example an empty id. Also a `ValueError`. No request was sent."""

    kind = "invalid_argument"


class ArgumentTypeError(InvalidArgumentError, TypeError):
    """An argument is of the wrong type. Also a `TypeError`."""


class ConfigError(CamundaError, ValueError):
    """A setting is missing or not valid; the message has its name or that of the variable.

    Also a `ValueError`.
    """

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
    """The call was cancelled with a `Cancel`.

    Also the `__cause__` of the exception that ends a call instead: `KeyboardInterrupt`, that of another
    signal handler, or `asyncio.CancelledError`. Its `outcome` is that of the call.

    Attributes:
        result: What the method returned, if the call had completed before the exception ended it; else
            None. The API may return it only once, for example the secret of a new client.
    """

    kind = "cancelled"

    def __init__(self, message: str, *, result: t.Any = None, **fields: t.Any) -> None:
        super().__init__(message, **fields)
        self.result: t.Any = result


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
    """A file could not be read or written. Also an `OSError`.

    If the reason is that the file exists, does not exist, or must not be accessed, the exception is also
    the built-in `FileExistsError`, `FileNotFoundError` or `PermissionError`.

    Attributes:
        errno: The number of the operating system's error, or None.
        strerror: The message of the operating system, or None.
        filename: The file as the caller named it, or None.
    """

    kind = "io"

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        kind, arguments, state = super().__reduce__()
        names = ("errno", "strerror", "filename")
        return kind, arguments, {**state, **{name: getattr(self, name) for name in names}}


class InternalError(CamundaError):
    """A bug in this library; please report it."""

    kind = "internal"


# In the order of `CAMUNDA_STATUS_…`, from 1.
_CLASSES: t.Tuple[t.Type[CamundaError], ...] = (
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


_BUILT_IN: t.Dict[int, type] = {
    _errno.EEXIST: builtins.FileExistsError,
    _errno.ENOENT: builtins.FileNotFoundError,
    _errno.EACCES: builtins.PermissionError,
}
_OUTCOME_UNKNOWN = "OutcomeUnknown"
_combined: t.Dict[str, t.Type[CamundaError]] = {}


def completed_error(
    message: str, *, operation: t.Optional[str] = None, result: t.Any
) -> CancelledError:
    """Return the exception of a call that had completed before another exception ended it."""
    return CancelledError(
        message, stage="request", outcome="completed", operation=operation, result=result
    )


def combined_class(name: str) -> t.Optional[t.Type[CamundaError]]:
    """Return the class of a name such as `OutcomeUnknownTimeoutError`, which has several base classes.

    It is created when it is first used. None if there is no such class.
    """
    found = _combined.get(name)
    if found is not None:
        return found
    kind_name = name[len(_OUTCOME_UNKNOWN) :] if name.startswith(_OUTCOME_UNKNOWN) else name
    bases: t.Tuple[type, ...] = () if kind_name == name else (OutcomeUnknownError,)
    for kind in _CLASSES:
        if kind.__name__ == kind_name:
            bases += (kind,)
    for built_in in _BUILT_IN.values():
        if built_in.__name__ == kind_name:
            bases += (FileError, built_in)
    if len(bases) < 2:
        return None
    names = ", ".join(f"`{base.__name__}`" for base in bases)
    kind_of = next(base for base in bases if base is not OutcomeUnknownError)
    fields = {
        "__doc__": f"An exception of several kinds: {names}.",
        "__module__": "camunda_admin",
        "kind": vars(kind_of)["kind"],
    }
    made: t.Any = type(name, bases, fields)
    result: t.Type[CamundaError] = _combined.setdefault(name, made)
    return result


def error_class(
    status: int, may_have_been_applied: bool, number: t.Optional[int] = None
) -> t.Type[CamundaError]:
    """Return the class for a status of the C ABI; a base class for a status of a newer library.

    `number` is the `errno` value of a file error.
    """
    if not 1 <= status <= len(_CLASSES):
        return OutcomeUnknownError if may_have_been_applied else CamundaError
    kind = _CLASSES[status - 1]
    built_in = _BUILT_IN.get(number or 0) if issubclass(kind, FileError) else None
    if built_in is None and not may_have_been_applied:
        return kind
    name = (built_in or kind).__name__
    return combined_class(f"{_OUTCOME_UNKNOWN}{name}" if may_have_been_applied else name) or kind


def decode_error_class(is_change: bool) -> t.Type[CamundaError]:
    """Return the class for a response that cannot be decoded. `is_change`: the operation is not a read."""
    return error_class(_STATUS_OF_KIND[DecodeError.kind], is_change)
