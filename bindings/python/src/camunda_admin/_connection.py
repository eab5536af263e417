"""The way from an operation's method to its function in C, and from the answer to an object."""

import codecs
import io
import json
import math
import os
from contextlib import ExitStack
from ctypes import byref, c_void_p
from decimal import Decimal
from typing import IO, Any, Callable, Iterator, Optional, Tuple, TypeVar, Union

from . import _callbacks
from ._arguments import number_of, text_of
from ._callbacks import Watch, on_main_thread, take_kept, unraisable_kept
from ._errors import DecodeError, InvalidArgumentError
from ._native_handle import Owned, check, take_error, take_text
from ._hidden import HiddenBytes
from ._native import lib
from ._progress import Display

__all__ = ["Connection", "Options", "Progress", "Resource", "Shared", "decode"]

T = TypeVar("T")

#: How a waiter tells what it sees: not at all, by a display on standard error, or by a call.
Progress = Union[None, bool, Callable[[T], object]]


# ---- JSON -------------------------------------------------------------------------------------


def _exact(text: str) -> Union[float, Decimal]:
    """A number with a point or an exponent, as a `float` where that loses nothing."""
    number = float(text)
    exact = Decimal(text)
    if math.isfinite(number) and Decimal(repr(number)) == exact:
        return number
    return exact


def _long(text: str) -> Union[int, Decimal]:
    """A whole number; Python refuses to make an `int` of very many digits."""
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


_decoder = json.JSONDecoder(parse_float=_exact)
_patient_decoder = json.JSONDecoder(parse_float=_exact, parse_int=_long)


def _parse(text: bytes) -> Any:
    plain = text.decode("utf-8-sig" if text.startswith(b"\xef") else "utf-8")
    try:
        return _decoder.decode(plain)
    except ValueError:
        return _patient_decoder.decode(plain)


def decode(text: bytes, operation: str, make: Callable[[Any], T]) -> T:
    """Makes an answer of its JSON; an answer that cannot be used is in the error."""
    try:
        return make(_parse(text))
    except Exception as error:
        problem = f"it has no {error}" if isinstance(error, KeyError) else type(error).__name__
    failure = DecodeError(
        f"{operation}: the response cannot be decoded ({problem}); the error's body has it",
        stage="decode",
        outcome="completed",
        body=HiddenBytes(text),
        operation=operation,
    )
    # Neither chained nor with the response in a local variable: a traceback may show both.
    del text
    raise failure


# ---- Calls ------------------------------------------------------------------------------------


class Shared:
    """A client in C, shared by everything that was made from one `AdminClient`."""

    __slots__ = ("handle", "logging")

    def __init__(self, handle: Owned, logging: bool) -> None:
        self.handle: Optional[Owned] = handle
        self.logging = logging


class Options:
    """The options of calls: a timeout in seconds, a handle that cancels."""

    __slots__ = ("timeout", "cancel")

    def __init__(self, timeout: Optional[float] = None, cancel: Optional[Owned] = None) -> None:
        self.timeout = timeout
        self.cancel = cancel

    def call(self, watch: Optional[Watch]) -> Owned:
        """These options for C, with a watch for signals."""
        call = Owned(lib.camunda_call_options_new(), lib.camunda_call_options_free)
        error = c_void_p()
        if self.timeout is not None:
            status = lib.camunda_call_options_set_timeout(call.pointer, self.timeout, byref(error))
            check(status, error)
        if self.cancel is not None:
            pointer = self.cancel.pointer
            check(lib.camunda_call_options_set_cancel(call.pointer, pointer, byref(error)), error)
        if watch is not None:
            callback = watch.callback
            check(lib.camunda_call_options_set_interrupt_check(call.pointer, callback, None, byref(error)), error)
        return call


_main_watch: Optional[Watch] = None


def _watch_of_main_thread() -> Watch:
    """A watch that is free; one and the same as long as calls are not nested."""
    global _main_watch
    watch = _main_watch
    if watch is None or not watch.alive:
        watch = _main_watch = Watch()
    return Watch() if watch.busy else watch


def _forget_watch() -> None:
    # The child may have been forked by another thread while the main one was in a call.
    global _main_watch
    _main_watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_watch)


class Connection:
    """A client in C with the options of the calls that are made through it."""

    __slots__ = ("shared", "options", "_plain", "_watched")

    def __init__(self, shared: Shared, options: Options) -> None:
        self.shared = shared
        self.options = options
        bare = options.timeout is None and options.cancel is None
        self._plain: Optional[Owned] = None if bare else options.call(None)
        self._watched: Optional[Tuple[Watch, Owned]] = None

    def ask(self, function: Any, operation: str, make: Callable[[Any], T], *arguments: Any) -> T:
        """Calls a function that answers a value."""
        value = c_void_p()
        try:
            self._run(function, (*arguments, byref(value)))
        except BaseException:
            lib.camunda_value_free(value)
            raise
        return decode(take_text(value), operation, make)

    def tell(self, function: Any, operation: str, *arguments: Any) -> None:
        """Calls a function that answers nothing."""
        self._run(function, arguments)

    def wait(
        self,
        function: Any,
        operation: str,
        make: Callable[[Any], T],
        arguments: Tuple[bytes, ...],
        timeout: Optional[float],
        interval: Optional[float],
        progress: Progress[T],
    ) -> T:
        """Calls a waiter that answers what it saw last."""
        value = c_void_p()
        try:
            self._wait(
                function, operation, make, (*arguments, byref(value)), timeout, interval, progress
            )
        except BaseException:
            lib.camunda_value_free(value)
            raise
        return decode(take_text(value), operation, make)

    def wait_for_end(
        self,
        function: Any,
        operation: str,
        make: Callable[[Any], T],
        arguments: Tuple[bytes, ...],
        timeout: Optional[float],
        interval: Optional[float],
        progress: Progress[T],
    ) -> None:
        """Calls a waiter that answers nothing."""
        self._wait(function, operation, make, arguments, timeout, interval, progress)

    def csv(
        self, function: Any, operation: str, file: Optional[IO[Any]]
    ) -> Optional[Iterator[str]]:
        """Calls a function that passes text on piece by piece."""
        if file is None:
            buffer = io.BytesIO()
            self._csv(function, buffer.write)
            buffer.seek(0)
            return iter(io.TextIOWrapper(buffer, encoding="utf-8", newline=""))
        try:
            file.write("")
        except TypeError:
            self._csv(function, lambda piece: _write_all(file, piece))
            return None
        # A character may be cut in two between two pieces.
        characters = codecs.getincrementaldecoder("utf-8")()
        self._csv(function, lambda piece: file.write(characters.decode(piece)))
        file.write(characters.decode(b"", final=True))
        return None

    # ---- From here on nobody else calls.

    def handle(self) -> Owned:
        """The client in C. Whoever has it keeps it from being freed."""
        handle = self.shared.handle
        if handle is None:
            raise InvalidArgumentError("the client is closed")
        return handle

    def _run(self, function: Any, arguments: Tuple[Any, ...]) -> None:
        handle = self.handle()
        error = c_void_p()
        if not on_main_thread():
            plain = self._plain
            call = None if plain is None else plain.pointer
            status = function(handle.pointer, call, *arguments, byref(error))
        else:
            watch, owned = self._watched_call()
            try:
                watch.busy = True
                if self.shared.logging:
                    with unraisable_kept():
                        status = function(handle.pointer, owned.pointer, *arguments, byref(error))
                else:
                    status = function(handle.pointer, owned.pointer, *arguments, byref(error))
            finally:
                watch.busy = False
        _finish(status, error)

    def _watched_call(self) -> Tuple[Watch, Owned]:
        """These options with a watch that is free: the same ones as long as calls are not nested."""
        watched = self._watched
        if watched is not None:
            watch = watched[0]
            if watch is _main_watch and not watch.busy and watch.alive:
                return watched
        watch = _watch_of_main_thread()
        watched = (watch, self.options.call(watch))
        if watch is _main_watch:
            self._watched = watched
        return watched

    def _wait(
        self,
        function: Any,
        operation: str,
        make: Callable[[Any], T],
        arguments: Tuple[Any, ...],
        timeout: Optional[float],
        interval: Optional[float],
        progress: Progress[T],
    ) -> None:
        handle = self.handle()
        # With a watch on any thread: it is how an exception in `progress` ends the wait.
        watch = Watch()
        call = self.options.call(watch)
        error = c_void_p()
        if timeout is not None:
            seconds = number_of("timeout", timeout)
            check(lib.camunda_call_options_set_timeout(call.pointer, seconds, byref(error)), error)
        if interval is not None:
            seconds = number_of("interval", interval)
            check(lib.camunda_call_options_set_max_poll_interval(call.pointer, seconds, byref(error)), error)
        with ExitStack() as stack:
            report: Optional[Callable[[Any], object]] = None
            if progress is True:
                report = stack.enter_context(Display()).show
            elif progress is not None and progress is not False:
                report = progress
            if report is not None:
                seen = report
                number = stack.enter_context(
                    _callbacks.call_progress(lambda text: _report(seen, text, operation, make))
                )
                status = lib.camunda_call_options_set_progress(
                    call.pointer, _callbacks.progress, number, byref(error)
                )
                check(status, error)
            stack.enter_context(unraisable_kept())
            status = function(handle.pointer, call.pointer, *arguments, byref(error))
        _finish(status, error)

    def _csv(self, function: Any, write: Callable[[bytes], object]) -> None:
        with _callbacks.call_sink(write) as number, unraisable_kept():
            self._run(function, (_callbacks.sink, number))


def _report(
    report: Callable[[Any], object], text: bytes, operation: str, make: Callable[[Any], Any]
) -> None:
    report(decode(text, operation, make))


def _finish(status: int, error: c_void_p) -> None:
    kept = take_kept()
    if kept is not None:
        # What became of the call is the cause of what is raised, for those who want to know.
        if status and kept.__cause__ is None:
            kept.__cause__ = take_error(status, error)
        raise kept
    check(status, error)


def _write_all(file: IO[Any], piece: bytes) -> None:
    """Writes to a binary file, of which an unbuffered one may take less than it is given."""
    while piece:
        written = file.write(piece)
        if not isinstance(written, int) or written >= len(piece):
            return
        piece = piece[written:]


class Resource:
    """A group of operations: what they are called through, and the cluster that they are about."""

    __slots__ = ("_connection", "_id")

    def __init__(self, connection: Connection, cluster: bytes = b"") -> None:
        self._connection = connection
        self._id = cluster

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id.decode()}>".replace(" >", ">")


def resource_id(cluster_id: str) -> bytes:
    """A cluster's id on its way to C."""
    return text_of("cluster_id", cluster_id)
