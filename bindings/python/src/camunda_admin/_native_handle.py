"""Things that live in C and are freed from Python."""

from ctypes import byref, c_size_t, c_void_p, string_at
from typing import Any, Callable, NoReturn, Optional

from ._errors import CamundaError, error_class
from ._hidden import HiddenBytes
from ._native import lib, stopped_by_shutdown

__all__ = ["Handle", "Owned", "check", "take_error", "take_text"]


class Owned:
    """A pointer that is freed when nothing refers to it any more.

    A call keeps a reference while it runs, so closing a client during another thread's call frees
    it when that call is over, and not before.
    """

    __slots__ = ("pointer", "_free")

    def __init__(self, pointer: Optional[int], free: Callable[[Optional[int]], Any]) -> None:
        if not pointer:
            raise MemoryError("camunda_admin: no memory for a handle")
        self.pointer: Optional[int] = pointer
        self._free = free

    def __del__(self) -> None:
        # Where the constructor failed, or late in the life of the interpreter, there may be less
        # here than one would think.
        pointer = getattr(self, "pointer", None)
        if pointer:
            self.pointer = None
            self._free(pointer)

    def __reduce__(self) -> NoReturn:
        # A copy would be freed twice, and another process has other addresses.
        raise TypeError(
            "clients, cancels and token sources can be neither pickled nor copied deeply; make one "
            "in each process"
        )


class Handle:
    """Something that can be closed, by hand or by `with`; else it is when nobody has it any more."""

    def close(self) -> None:
        """Frees what is held. Calls under way are finished first; further calls fail."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_STAGES = {1: "config", 2: "token", 3: "request", 4: "decode"}
_OUTCOMES = {1: "not_sent", 2: "rejected", 3: "unknown", 4: "completed"}


def check(status: int, error: c_void_p) -> None:
    """Raises what a function of the C ABI filled in, if it failed."""
    if status:
        if stopped_by_shutdown(status):
            # Ends a daemon thread as the interpreter would: no handler of errors retries, and
            # `threading` prints nothing.
            lib.camunda_error_free(error)
            raise SystemExit
        raise take_error(status, error)


def take_error(status: int, error: c_void_p) -> CamundaError:
    """Makes an exception of an error and frees it."""
    pointer = error.value
    try:
        method = _text(lib.camunda_error_method(pointer))
        outcome = lib.camunda_error_outcome(pointer)
        length = c_size_t()
        body = lib.camunda_error_body(pointer, byref(length))
        wait = lib.camunda_error_retry_after(pointer)
        elapsed = lib.camunda_error_elapsed(pointer)
        kind = error_class(status, lib.camunda_error_may_have_been_applied(pointer))
        return kind(
            _text(lib.camunda_error_message(pointer)) or f"failed with status {status}",
            http_status=lib.camunda_error_http_status(pointer) or None,
            stage=_STAGES.get(lib.camunda_error_stage(pointer), "request"),
            outcome=_OUTCOMES.get(outcome, "unknown"),
            server_message=_text(lib.camunda_error_server_message(pointer)),
            body=HiddenBytes(string_at(body, length.value)) if body else None,
            retry_after=wait if wait >= 0 else None,
            attempts=lib.camunda_error_attempts(pointer),
            request_id=_text(lib.camunda_error_request_id(pointer)),
            operation=_text(lib.camunda_error_operation(pointer)),
            method=method,
            path=_text(lib.camunda_error_path(pointer)),
            elapsed=elapsed if elapsed >= 0 else None,
        )
    finally:
        lib.camunda_error_free(pointer)


def _text(text: Optional[bytes]) -> Optional[str]:
    return None if text is None else text.decode("utf-8", "replace")


def take_text(value: c_void_p) -> bytes:
    """The JSON of a value, which is freed."""
    try:
        return borrow_text(value.value)
    finally:
        lib.camunda_value_free(value)


def borrow_text(pointer: Optional[int]) -> bytes:
    """The JSON of a value that somebody else frees."""
    length = c_size_t()
    text = lib.camunda_value_json(pointer, byref(length))
    return string_at(text, length.value) if text else b"null"
