"""Ownership of objects of the C ABI, and conversion of its errors to exceptions."""

from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_size_t, c_void_p, string_at

from ._errors import CamundaError, ConfigError, FileError, error_class
from ._hidden import HiddenBytes
from ._lazy import t, types
from ._library import lib, stopped_by_shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from functools import partial

    T = t.TypeVar("T")
else:
    # The module from which `functools` imports it: importing `functools` takes long.
    from _functools import partial

__all__ = ["Closeable", "NamedFile", "NativeHandle", "borrow_json", "check", "like", "name_file", "take_error", "take_json"]


class NativeHandle:
    """A pointer to an object of the C ABI, freed with the last reference to this handle.

    A call holds a reference while it runs: closing a client during a call of another thread frees the
    client when that call has returned.
    """

    # Finalizers are attributes, which are native functions: in a finalizer written in Python, the
    # interpreter may call a signal handler, and discards its exception, such as that of Ctrl-C.
    __slots__ = ("pointer", "__del__")

    def __init__(self, pointer: t.Optional[int], free: t.Callable[[t.Optional[int]], t.Any]) -> None:
        self.pointer: t.Optional[int] = pointer
        self.__del__: t.Callable[[], t.Any] = partial(free, pointer)
        if not pointer:
            raise MemoryError("camunda_admin: out of memory")

    def __reduce__(self) -> t.NoReturn:
        # A copy would be freed twice, and the pointer is not valid in another process.
        raise TypeError(
            "clients, cancels and token sources can be neither pickled nor deep-copied; create one "
            "in each process"
        )


class Closeable:
    """Base class of context managers that close on exit. Without either, the last reference closes."""

    __slots__ = ()

    def close(self) -> None:
        """Release the resources. Calls in progress finish first; later calls fail."""
        raise NotImplementedError

    def __enter__(self) -> t.Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def like(original: T) -> T:
    """Return a new object of the same class, with the same attributes.

    No method of a subclass is called, since it may use attributes that are not set yet.
    """
    kind = type(original)
    result: T = object.__new__(kind)
    for base in kind.__mro__:
        for attribute in vars(base).values() if "__slots__" in vars(base) else ():
            if isinstance(attribute, _Slot):
                try:
                    value = attribute.__get__(original)
                except AttributeError:  # not set
                    continue
                attribute.__set__(result, value)
    if hasattr(original, "__dict__"):
        result.__dict__.update(original.__dict__)
    return result


#: The class of the descriptors of slots: `MemberDescriptorType` of the standard module `types`.
_Slot: t.Any = type(vars(NativeHandle)["pointer"])


_STAGES: t.Dict[int, types.Stage] = {1: "config", 2: "token", 3: "request", 4: "decode"}
_OUTCOMES: t.Dict[int, types.Outcome] = {1: "not_sent", 2: "rejected", 3: "unknown", 4: "completed"}


def check(status: int, error: c_void_p) -> None:
    """Raise the exception of a failed call of the C ABI; do nothing if `status` is 0."""
    if status:
        if stopped_by_shutdown(status):
            # Ends a daemon thread as the interpreter does: it is no `Exception` that the program
            # retries, and `threading` prints nothing.
            lib.camunda_error_free(error)
            raise SystemExit
        raise take_error(status, error)


def take_error(status: int, error: c_void_p) -> CamundaError:
    """Return the exception for an error of the C ABI, and free the error."""
    pointer = error.value
    try:
        method: t.Any = _text(lib.camunda_error_method(pointer))
        outcome = lib.camunda_error_outcome(pointer)
        length = c_size_t()
        body = lib.camunda_error_body(pointer, byref(length))
        retry_after = lib.camunda_error_retry_after(pointer)
        elapsed = lib.camunda_error_elapsed(pointer)
        message = _text(lib.camunda_error_message(pointer)) or f"failed with status {status}"
        number = _os_error(message)
        kind = error_class(status, lib.camunda_error_may_have_been_applied(pointer), number)
        result = kind(
            message,
            http_status=lib.camunda_error_http_status(pointer) or None,
            stage=_STAGES.get(lib.camunda_error_stage(pointer), "request"),
            outcome=_OUTCOMES.get(outcome, "unknown"),
            server_message=_text(lib.camunda_error_server_message(pointer)),
            body=HiddenBytes(string_at(body, length.value)) if body else None,
            retry_after=retry_after if retry_after >= 0 else None,
            attempts=lib.camunda_error_attempts(pointer),
            request_id=_text(lib.camunda_error_request_id(pointer)),
            operation=_text(lib.camunda_error_operation(pointer)),
            method=method,
            path=_text(lib.camunda_error_path(pointer)),
            elapsed=elapsed if elapsed >= 0 else None,
        )
        if number is not None and isinstance(result, FileError):
            result.errno, result.strerror = number, os.strerror(number)
        return result
    finally:
        lib.camunda_error_free(pointer)


def _os_error(message: str) -> t.Optional[int]:
    """Return the number of the operating system's error that Rust appends to its message, if any."""
    number = message.rpartition("(os error ")[2].partition(")")[0]
    return int(number) if number.isdigit() and os.name == "posix" else None


class NamedFile:
    """A context manager that sets the `filename` of a `FileError`, and names the file in a `ConfigError`."""

    __slots__ = ("_path",)

    def __init__(self, path: types.StrPath) -> None:
        self._path = os.fspath(path)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, FileError):
            error.filename = self._path
        elif isinstance(error, ConfigError):
            name_file(error, self._path)


def name_file(error: ConfigError, path: types.StrPath) -> None:
    """Put the path of a credential file before the message about one of its variables, or two."""
    # Not about a variable of the environment, such as HTTPS_PROXY.
    if error.message.startswith(("the variable CAMUNDA_", "the variables CAMUNDA_")):
        error.message = f"{os.fspath(path)}: {error.message}"
        error.args = (error.message,)


def _text(text: t.Optional[bytes]) -> t.Optional[str]:
    return None if text is None else text.decode("utf-8", "replace")


def take_json(value: c_void_p) -> t.Union[str, bytes]:
    """Return the JSON of a value of the C ABI as `borrow_json` does, and free the value."""
    try:
        return borrow_json(value.value)
    finally:
        lib.camunda_value_free(value)


def borrow_json(pointer: t.Optional[int]) -> t.Union[str, bytes]:
    """Return the JSON of a value of the C ABI that the caller of this function does not own.

    It is a `str`, or `bytes` if it is not valid UTF-8.
    """
    length = c_size_t()
    text = lib.camunda_value_json(pointer, length)
    if not text:
        return "null"
    if _decode_utf8 is not None:
        try:
            decoded: str = _decode_utf8(text, length.value, None)
            return decoded
        except UnicodeDecodeError:
            pass
    return string_at(text, length.value)


def _utf8_decoder() -> t.Any:
    """Return the function that makes a `str` of memory without a copy in between; None if this
    interpreter has none.
    """
    try:
        # By item: the attribute is shared with all users of ctypes.
        function: t.Any = ctypes.pythonapi["PyUnicode_DecodeUTF8"]
    except AttributeError:
        return None
    function.restype = ctypes.py_object
    function.argtypes = (c_void_p, ctypes.c_ssize_t, ctypes.c_char_p)
    return function


_decode_utf8 = _utf8_decoder()
