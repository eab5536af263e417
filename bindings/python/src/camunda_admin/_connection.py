"""Calls of the C ABI: options, signal checks, waiters and CSV responses.

Methods of operations and waiters call a function of the C ABI through a `Connection`, which returns
the response as an object or raises the error as an exception.
"""

from __future__ import annotations

import os
from ctypes import byref, c_void_p

from . import _callbacks
from ._arguments import check_id, check_seconds, encode_segment, wrong_type
from ._callbacks import SignalWatch, on_main_thread, pop_exception, store_unraisable
from ._errors import (
    CamundaError,
    CancelledError,
    DecodeError,
    InvalidArgumentError,
    completed_error,
)
from ._json import decode
from ._lazy import t, types
from ._library import lib
from ._native_handle import NativeHandle, borrow_json, check, take_error, take_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    T = t.TypeVar("T")

__all__ = [
    "UNSET",
    "CallOptions",
    "Cancel",
    "Connection",
    "Resource",
    "SharedClient",
    "encode_cluster_id",
]

#: Value of an error pointer that no function of the C ABI has set yet.
_NOT_CALLED = 1


class Cancel:
    """A handle that cancels calls from another thread or a signal handler.

    Pass it to a call, or to `AdminClient.with_options`. As a context manager it cancels the calls when
    an exception leaves the block:

        with ThreadPoolExecutor() as pool, Cancel() as cancel:
            list(pool.map(lambda id: admin.cluster(id).get(cancel=cancel), ids))
    """

    __slots__ = ("_handle", "__weakref__")

    def __init__(self) -> None:
        self._handle = NativeHandle(lib.camunda_cancel_new(), lib.camunda_cancel_free)

    def cancel(self) -> None:
        """Cancel all calls made with this object, in progress or made before `reset`.

        Calls in progress end within 100 ms. All raise `CancelledError`.
        """
        lib.camunda_cancel_trigger(self._handle.pointer)

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called, and `reset` was not called since."""
        return bool(lib.camunda_cancel_is_triggered(self._handle.pointer))

    def reset(self) -> None:
        """Allow new calls again. Calls that were in progress at the time of `cancel` stay cancelled."""
        lib.camunda_cancel_reset(self._handle.pointer)

    def __enter__(self) -> Cancel:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.cancel()

    def __repr__(self) -> str:
        if getattr(self, "_handle", None) is None:  # if the constructor failed
            return "<Cancel>"
        return f"<Cancel, {'' if self.is_cancelled else 'not '}cancelled>"


class _Unset:
    def __repr__(self) -> str:
        return "<unchanged>"


#: The default of an option that keeps its value.
UNSET: t.Any = _Unset()


class SharedClient:
    """A client of the C ABI, shared by all objects that were made from one `AdminClient`."""

    __slots__ = ("handle", "logging", "description")

    handle: t.Optional[NativeHandle]
    logging: bool
    description: str

    def __init__(
        self, handle: t.Optional[NativeHandle], logging: bool = False, description: str = ""
    ) -> None:
        #: None once the client is closed.
        self.handle = handle
        self.logging = logging
        #: The server and the credentials, for `repr`.
        self.description = description


class CallOptions:
    """The options of calls: a timeout in seconds and a handle that cancels them."""

    __slots__ = ("timeout", "cancel")

    timeout: t.Optional[float]
    cancel: t.Optional[NativeHandle]

    def __init__(
        self, timeout: t.Optional[float] = None, cancel: t.Optional[NativeHandle] = None
    ) -> None:
        self.timeout = timeout
        self.cancel = cancel

    def replaced(self, timeout: t.Any, cancel: t.Any) -> CallOptions:
        """Return a copy with other values. `UNSET` keeps the value of this object; None removes it."""
        seconds, handle = self.timeout, self.cancel
        if timeout is not UNSET:
            seconds = None if timeout is None else check_seconds("timeout", timeout)
        if cancel is not UNSET:
            if cancel is not None and not isinstance(cancel, Cancel):
                raise wrong_type("cancel", cancel, "a Cancel")
            handle = None if cancel is None else cancel._handle
        return CallOptions(seconds, handle)

    def to_native(self, watch: t.Optional[SignalWatch]) -> NativeHandle:
        """Return the options as an object of the C ABI, with `watch` as the interrupt check."""
        call = NativeHandle(lib.camunda_call_options_new(), lib.camunda_call_options_free)
        pointer, error = call.pointer, c_void_p()
        if self.timeout is not None:
            check(lib.camunda_call_options_set_timeout(pointer, self.timeout, byref(error)), error)
        if self.cancel is not None:
            cancel = self.cancel.pointer
            check(lib.camunda_call_options_set_cancel(pointer, cancel, byref(error)), error)
        if watch is not None:
            status = lib.camunda_call_options_set_interrupt_check(
                pointer, watch.callback, None, byref(error)
            )
            check(status, error)
        return call


_main_watch: t.Optional[SignalWatch] = None


def _watch_of_main_thread() -> SignalWatch:
    """Return a watch that no call uses: the same one each time unless calls are nested."""
    global _main_watch
    watch = _main_watch
    if watch is None or not watch.usable:
        watch = _main_watch = SignalWatch()
    return SignalWatch() if watch.busy else watch


def _reset_watch_after_fork() -> None:
    # Another thread may have forked while the main thread was in a call, which leaves the watch busy.
    global _main_watch
    _main_watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_watch_after_fork)


class Connection:
    """A client of the C ABI with the options of the calls made through it."""

    __slots__ = ("shared", "options", "_plain", "_watched")

    shared: SharedClient
    options: CallOptions

    def __init__(self, shared: SharedClient, options: CallOptions) -> None:
        self.shared = shared
        self.options = options
        no_options = options.timeout is None and options.cancel is None
        #: The options for threads other than the main one.
        self._plain: t.Optional[NativeHandle] = None if no_options else options.to_native(None)
        #: The options for the main thread, with their watch.
        self._watched: t.Optional[t.Tuple[SignalWatch, NativeHandle]] = None

    def replaced(self, timeout: t.Any, cancel: t.Any) -> Connection:
        """Return a connection to the same client with other options, as `CallOptions.replaced`."""
        return Connection(self.shared, self.options.replaced(timeout, cancel))

    def close(self) -> None:
        """Make the calls through this connection fail. Other connections to the client stay open."""
        shared = self.shared
        self.shared = SharedClient(None, shared.logging, shared.description)

    def call_value(
        self,
        function: t.Any,
        operation: str,
        convert: t.Callable[[t.Any], T],
        *arguments: t.Any,
        is_change: bool = False,
    ) -> T:
        """Call a function that returns a value. `is_change`: whether the operation is not a read."""
        value = c_void_p()
        encoded: t.Union[str, bytes, None] = None
        try:
            self._call(function, operation, (*arguments, value))
            encoded = borrow_json(value.value)
            # Before decoding, which takes memory too. An interruption here frees nothing twice.
            pointer, value.value = value.value, None
            lib.camunda_value_free(pointer)
            return decode(encoded, operation, convert, is_change=is_change)
        except DecodeError:
            encoded = None
            raise
        except BaseException as error:
            # If there is a response, a signal handler raised after the call had succeeded. The API
            # may return the response only once.
            if encoded is None and value:
                encoded = borrow_json(value.value)
            if encoded is not None and isinstance(error.__cause__, (CancelledError, type(None))):
                error.__cause__ = _completed(operation, encoded, convert, is_change)
            encoded = None
            raise
        finally:
            lib.camunda_value_free(value)

    def call_void(self, function: t.Any, operation: str, *arguments: t.Any) -> None:
        """Call a function that returns nothing."""
        self._call(function, operation, arguments)

    def wait_value(
        self,
        function: t.Any,
        operation: str,
        convert: t.Callable[[t.Any], T],
        arguments: t.Tuple[bytes, ...],
        max_poll_interval: t.Optional[types.Timeout],
        progress: types.Progress[T],
    ) -> T:
        """Call a waiter that returns the resource of its last poll."""
        value = c_void_p()
        try:
            self._wait(
                function,
                operation,
                convert,
                (*arguments, byref(value)),
                max_poll_interval,
                progress,
            )
        except BaseException:
            lib.camunda_value_free(value)
            raise
        return decode(take_json(value), operation, convert)

    def wait_void(
        self,
        function: t.Any,
        operation: str,
        convert: t.Callable[[t.Any], T],
        arguments: t.Tuple[bytes, ...],
        max_poll_interval: t.Optional[types.Timeout],
        progress: types.Progress[T],
    ) -> None:
        """Call a waiter that returns nothing."""
        self._wait(function, operation, convert, arguments, max_poll_interval, progress)

    def call_csv(
        self, function: t.Any, operation: str, file: t.Optional[t.IO[t.Any]]
    ) -> t.Optional[t.Iterator[str]]:
        """Call a function that passes CSV data to a sink; without a file, return the lines."""
        import codecs
        import io

        if file is None:
            buffer = io.BytesIO()
            self._call_with_sink(function, operation, buffer.write)
            buffer.seek(0)
            return iter(io.TextIOWrapper(buffer, encoding="utf-8", newline=""))
        if not hasattr(file, "write"):
            raise wrong_type("file", file, "a file object with `write`")
        try:
            file.write("")
            is_binary = False
        except TypeError:
            is_binary = True
        if is_binary:
            self._call_with_sink(function, operation, lambda piece: _write_all(file, piece))
            return None
        # A piece may end within a character.
        decoder = codecs.getincrementaldecoder("utf-8")()
        self._call_with_sink(function, operation, lambda piece: file.write(decoder.decode(piece)))
        file.write(decoder.decode(b"", final=True))
        return None

    def handle(self) -> NativeHandle:
        """Return the client of the C ABI. It is not freed while the caller holds the handle."""
        handle = self.shared.handle
        if handle is None:
            raise InvalidArgumentError("client is closed; use it within its `with` block")
        return handle

    def _call(self, function: t.Any, operation: str, arguments: t.Tuple[t.Any, ...]) -> None:
        handle = self.handle()
        # Passed by reference, as declared; faster than with `byref`.
        error = c_void_p(_NOT_CALLED)
        if not on_main_thread():
            plain = self._plain
            call = None if plain is None else plain.pointer
            status = function(handle.pointer, call, *arguments, error)
        else:
            watch, options = self._watched_options()
            try:
                watch.busy = True
                if self.shared.logging:
                    with store_unraisable():
                        status = function(handle.pointer, options.pointer, *arguments, error)
                else:
                    status = function(handle.pointer, options.pointer, *arguments, error)
            except BaseException as interrupted:
                # A signal handler raised before or after the call.
                if error.value != _NOT_CALLED and interrupted.__cause__ is None:
                    status = lib.camunda_error_status(error) if error else 0
                    interrupted.__cause__ = _outcome(status, error, operation)
                raise
            finally:
                watch.busy = False
        _raise_failure(status, error, operation)

    def _watched_options(self) -> t.Tuple[SignalWatch, NativeHandle]:
        """Return a watch that no call uses, and the options with it; cached unless calls are nested."""
        watched = self._watched
        if watched is not None:
            watch = watched[0]
            if watch is _main_watch and not watch.busy and watch.usable:
                return watched
        watch = _watch_of_main_thread()
        watched = (watch, self.options.to_native(watch))
        if watch is _main_watch:
            self._watched = watched
        return watched

    def _wait(
        self,
        function: t.Any,
        operation: str,
        convert: t.Callable[[t.Any], T],
        arguments: t.Tuple[t.Any, ...],
        max_poll_interval: t.Optional[types.Timeout],
        progress: types.Progress[T],
    ) -> None:
        handle = self.handle()
        # On every thread, since the watch also ends the wait after an exception in `progress`.
        watch = SignalWatch()
        call = self.options.to_native(watch)
        error = c_void_p()
        if max_poll_interval is not None:
            status = lib.camunda_call_options_set_max_poll_interval(
                call.pointer, check_seconds("max_poll_interval", max_poll_interval), byref(error)
            )
            check(status, error)
        if progress is None or progress is False:
            with store_unraisable():
                status = function(handle.pointer, call.pointer, *arguments, byref(error))
        else:
            from ._progress import reporter

            with reporter(progress) as report:

                def receive(encoded: t.Union[str, bytes]) -> None:
                    report(decode(encoded, operation, convert))

                with _callbacks.CallbackTarget(receive) as number:
                    status = lib.camunda_call_options_set_progress(
                        call.pointer, _callbacks.progress, number, byref(error)
                    )
                    check(status, error)
                    with store_unraisable():
                        status = function(handle.pointer, call.pointer, *arguments, byref(error))
        _raise_failure(status, error)

    def _call_with_sink(
        self, function: t.Any, operation: str, write: t.Callable[[bytes], object]
    ) -> None:
        with _callbacks.CallbackTarget(write) as number, store_unraisable():
            self._call(function, operation, (_callbacks.sink, number))


def _raise_failure(status: int, error: c_void_p, operation: t.Optional[str] = None) -> None:
    """Raise the exception that a callback stored, else that of a failed call, if any.

    `operation` is None for a waiter.
    """
    stored = pop_exception()
    if stored is not None:
        # The outcome of the call is available as the cause.
        if stored.__cause__ is None:
            stored.__cause__ = _outcome(status, error, operation)
        raise stored
    check(status, error)


def _outcome(
    status: int, error: c_void_p, operation: t.Optional[str]
) -> t.Optional[CamundaError]:
    """Return the exception with the outcome of a call that another exception ends."""
    if status:
        return take_error(status, error)
    return None if operation is None else _completed(operation)


def _completed(
    operation: str,
    encoded: t.Union[str, bytes, None] = None,
    convert: t.Any = None,
    is_change: bool = False,
) -> CamundaError:
    """Return the exception of a completed call whose result the caller does not receive."""
    try:
        result = (
            None
            if encoded is None
            else decode(encoded, operation, convert, is_change=is_change)
        )
    except DecodeError as error:
        return error
    message = f"{operation}: completed before it was interrupted"
    return completed_error(message, operation=operation, result=result)


def _write_all(file: t.Any, piece: bytes) -> None:
    """Write to a binary file; an unbuffered one may write less than it is given, or nothing."""
    import errno
    import io

    while piece:
        written = file.write(piece)
        if written == 0 or (written is None and isinstance(file, io.RawIOBase)):
            raise BlockingIOError(errno.EAGAIN, "the file accepts no data without blocking")
        if not isinstance(written, int) or written >= len(piece):
            return
        piece = piece[written:]


class Resource:
    """Base class of the groups of operations: a connection, and the id of the cluster if there is one."""

    __slots__ = ("_connection", "_id", "__weakref__")

    _connection: Connection
    _id: bytes

    def __init__(self, connection: Connection, cluster: bytes = b"") -> None:
        self._connection = connection
        self._id = cluster

    def _calls(self, timeout: t.Optional[types.Timeout], cancel: t.Optional[Cancel]) -> Connection:
        """Return the connection for a call with these options. None: that of the connection."""
        if timeout is None and cancel is None:
            return self._connection
        return self._connection.replaced(
            UNSET if timeout is None else timeout, UNSET if cancel is None else cancel
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id.decode()}>".replace(" >", ">")


def encode_cluster_id(cluster_id: types.Id) -> bytes:
    """Encode the id of a cluster for the C ABI."""
    return encode_segment("cluster_id", check_id("cluster_id", cluster_id))
