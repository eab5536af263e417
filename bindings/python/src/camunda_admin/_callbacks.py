"""Callbacks from C into Python: signal checks, wait progress, CSV data, logging.

An exception must not leave a callback, since ctypes would print and drop it. So the callback stores it
for its thread and makes the call end; the method that made the call then raises it.

`try` in a callback does not cover the first step of the function, and Python runs signal handlers on
the main thread between any two steps. The signal check, which runs most often, is therefore a
suspended generator: C resumes it inside of its `try`. The other callbacks take more arguments than
`send` passes; for them `store_unraisable` stores an exception that ctypes reports as unraisable.
"""

import ctypes
import itertools
import logging
import os
import sys
import threading
from contextlib import contextmanager
from threading import get_ident
from types import CodeType
from typing import Any, Callable, ContextManager, Dict, Generator, Iterator, Optional, Set

from . import _prototypes
from ._native_handle import borrow_json

__all__ = [
    "SignalWatch",
    "log",
    "log_level",
    "on_main_thread",
    "pop_exception",
    "progress",
    "progress_target",
    "protect_first_step",
    "sink",
    "sink_target",
    "store_exception",
    "store_unraisable",
]

#: The first exception raised in a callback, by the id of the thread that makes the call.
_stored: Dict[int, BaseException] = {}


def store_exception(error: BaseException) -> None:
    """Store an exception to be raised when the current call of this thread has ended."""
    _stored.setdefault(get_ident(), error)


def pop_exception() -> Optional[BaseException]:
    """Return and remove the exception that a callback of this thread's call stored, if any."""
    return _stored.pop(get_ident(), None) if _stored else None


_main_thread = threading.main_thread().ident


def on_main_thread() -> bool:
    """Return whether this is the main thread, on which Python runs signal handlers."""
    return get_ident() == _main_thread


# ---- Signals ----------------------------------------------------------------------------------


def _no_signals() -> None:
    """Do nothing: for interpreters without the C API, which run the handlers on resuming."""


_run_signal_handlers: Callable[[], Any] = getattr(
    getattr(ctypes, "pythonapi", None), "PyErr_CheckSignals", _no_signals
)


def _check_signals() -> Generator[int, Any, None]:
    """Run the pending signal handlers each time it is resumed; yield 1 if the call must end, else 0."""
    # Two nested loops: a second Ctrl-C may arrive while the first exception is being stored.
    while True:
        try:
            while True:
                try:
                    while True:
                        yield 1 if get_ident() in _stored else 0
                        _run_signal_handlers()
                except GeneratorExit:
                    return
                except BaseException as error:
                    store_exception(error)
        except GeneratorExit:
            return
        except BaseException as error:
            store_exception(error)


class SignalWatch:
    """The interrupt check of a call: C calls it periodically to learn whether the call must end."""

    __slots__ = ("callback", "busy", "_generator")

    def __init__(self) -> None:
        self._generator: Any = _check_signals()
        next(self._generator)
        self.callback: Any = _prototypes.camunda_interrupt_check_fn(self._generator.send)
        #: Whether a call uses it. A call that a signal handler makes during this one needs another.
        self.busy = False

    @property
    def usable(self) -> bool:
        """Whether its generator has not ended."""
        return self._generator.gi_frame is not None


# ---- Progress and CSV -------------------------------------------------------------------------

# C receives a number as its `user` pointer. The table holds a reference to the function while C has
# the number.
_targets: Dict[int, Callable[[bytes], object]] = {}
_numbers = itertools.count(1)


@contextmanager
def _target(function: Callable[[bytes], object]) -> Iterator[int]:
    number = next(_numbers)
    _targets[number] = function
    try:
        yield number
    finally:
        del _targets[number]


def progress_target(report: Callable[[bytes], object]) -> ContextManager[int]:
    """Return a context manager that gives a number: `progress` with it as `user` calls `report`."""
    return _target(report)


def sink_target(write: Callable[[bytes], object]) -> ContextManager[int]:
    """Return a context manager that gives a number: `sink` with it as `user` calls `write`."""
    return _target(write)


def _progress(user: int, resource: Optional[int]) -> None:
    try:
        if get_ident() not in _stored:
            _targets[user](borrow_json(resource))
    except BaseException as error:
        store_exception(error)


def _sink(user: int, data: Optional[int], length: int) -> int:
    try:
        _targets[user](ctypes.string_at(data, length) if data else b"")
        return 0
    except BaseException as error:
        store_exception(error)
        return 1


# ---- Logging ----------------------------------------------------------------------------------

_logger = logging.getLogger("camunda_admin")
_logger.addHandler(logging.NullHandler())
_TRACE = 5
_LEVELS = {
    _prototypes.CAMUNDA_LOG_ERROR: logging.ERROR,
    _prototypes.CAMUNDA_LOG_WARN: logging.WARNING,
    _prototypes.CAMUNDA_LOG_INFO: logging.INFO,
    _prototypes.CAMUNDA_LOG_DEBUG: logging.DEBUG,
    _prototypes.CAMUNDA_LOG_TRACE: _TRACE,
}


def log_level() -> Optional[int]:
    """Return the most verbose level that the logger is enabled for, as a level of the C ABI.

    None if no handler would receive a record.
    """
    if not _has_handler(_logger):
        return None
    enabled = [number for number, level in _LEVELS.items() if _logger.isEnabledFor(level)]
    return max(enabled, default=None)


def _has_handler(logger: Optional[logging.Logger]) -> bool:
    """Return whether records of the logger reach a handler other than a `NullHandler`."""
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _log(_user: Optional[int], level: int, target: Optional[bytes], message: bytes) -> None:
    try:
        _logger.log(
            _LEVELS.get(level, logging.DEBUG),
            "%s",
            message.decode("utf-8", "replace"),
            extra={"part": (target or b"").decode("utf-8", "replace")},
        )
    except BaseException as error:
        store_exception(error)


progress: Any = _prototypes.camunda_progress_fn(_progress)
sink: Any = _prototypes.camunda_write_fn(_sink)
log: Any = _prototypes.camunda_log_fn(_log)


# ---- Exceptions before the callback body ------------------------------------------------------

_protected_codes: Set[CodeType] = set()


def protect_first_step(function: Any) -> None:
    """Make `store_unraisable` store exceptions that are raised in the first step of a callback."""
    _protected_codes.add(function.__code__)


for _function in (_progress, _sink, _log):
    protect_first_step(_function)


@contextmanager
def store_unraisable() -> Iterator[None]:
    """Store exceptions that signal handlers raise in the first step of a protected callback.

    Does nothing on other threads than the main one, which alone runs signal handlers.
    """
    if not on_main_thread():
        yield
        return
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        trace = unraisable.exc_traceback
        while trace is not None:
            if trace.tb_frame.f_code in _protected_codes and unraisable.exc_value is not None:
                store_exception(unraisable.exc_value)
                return
            trace = trace.tb_next
        before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        # Keeps a hook that the program has set during the call.
        if sys.unraisablehook is hook:
            sys.unraisablehook = before


def _reset_after_fork() -> None:
    """Reset the state in a forked child, whose only thread is its main one and has no call in progress."""
    global _main_thread
    _main_thread = get_ident()
    _stored.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
