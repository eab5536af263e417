"""Calls from C back into Python: signals, progress, CSV, logging.

An exception must not leave a callback: ctypes would print it and carry on. So it is kept for the
thread, the call under way is made to end, and whoever made the call raises it again.

There is one gap that `try` cannot close. Python runs signal handlers on the main thread between any
two steps, the very first step of a function included, which is outside of its `try`. For the callback
that is asked about signals all the time, a generator is resumed instead of a function being called:
it is inside its `try` already. The other callbacks, which take more arguments than a generator can be
sent, have `unraisable_kept` catch what falls into the gap.
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
from ._native_handle import borrow_text

__all__ = [
    "Watch",
    "call_progress",
    "call_sink",
    "guard",
    "keep",
    "log",
    "on_main_thread",
    "take_kept",
    "unraisable_kept",
]

#: The first exception of a callback, by the thread on which its call is under way.
_kept: Dict[int, BaseException] = {}


def keep(error: BaseException) -> None:
    """Makes the call under way on this thread end with an exception."""
    _kept.setdefault(get_ident(), error)


def take_kept() -> Optional[BaseException]:
    """The exception that a callback of this thread's call ended with, if any."""
    return _kept.pop(get_ident(), None) if _kept else None


_main_thread = threading.main_thread().ident


def on_main_thread() -> bool:
    """Whether this is the thread on which Python runs signal handlers."""
    return get_ident() == _main_thread


# ---- Signals ----------------------------------------------------------------------------------


def _no_signals() -> None:
    """Where the interpreter has no C API, resuming the generator is what runs the handlers."""


_run_signal_handlers: Callable[[], Any] = getattr(
    getattr(ctypes, "pythonapi", None), "PyErr_CheckSignals", _no_signals
)


def _watch() -> Generator[int, Any, None]:
    """Runs pending signal handlers each time it is resumed; answers whether the call has to end."""
    # Twice around, for a second Ctrl-C while the first is being kept.
    while True:
        try:
            while True:
                try:
                    while True:
                        yield 1 if get_ident() in _kept else 0
                        _run_signal_handlers()
                except GeneratorExit:
                    return
                except BaseException as error:
                    keep(error)
        except GeneratorExit:
            return
        except BaseException as error:
            keep(error)


class Watch:
    """What C asks every now and then whether the call under way has to end."""

    __slots__ = ("callback", "busy", "_generator")

    def __init__(self) -> None:
        self._generator: Any = _watch()
        next(self._generator)
        self.callback: Any = _prototypes.camunda_interrupt_check_fn(self._generator.send)
        #: A signal handler that makes a call of its own, during a call, needs another watch.
        self.busy = False

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._generator.gi_frame is not None


# ---- Progress and CSV -------------------------------------------------------------------------

# C gets a number, and this table says what it stands for: nothing is collected while C has it.
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


def call_progress(report: Callable[[bytes], object]) -> ContextManager[int]:
    """Makes `report` reachable, during a `with`, through `progress` and the number given."""
    return _target(report)


def call_sink(write: Callable[[bytes], object]) -> ContextManager[int]:
    """Makes `write` reachable, during a `with`, through `sink` and the number given."""
    return _target(write)


def _progress(user: int, seen: Optional[int]) -> None:
    try:
        if get_ident() not in _kept:
            _targets[user](borrow_text(seen))
    except BaseException as error:
        keep(error)


def _sink(user: int, data: Optional[int], length: int) -> int:
    try:
        _targets[user](ctypes.string_at(data, length) if data else b"")
        return 0
    except BaseException as error:
        keep(error)
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
    """The most that the logger takes now, as a level of C; `None` where nobody would see it."""
    if not _is_heard(_logger):
        return None
    enabled = [number for number, level in _LEVELS.items() if _logger.isEnabledFor(level)]
    return max(enabled, default=None)


def _is_heard(logger: Optional[logging.Logger]) -> bool:
    """Whether there is a handler other than the one that this module adds against complaints."""
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
        keep(error)


progress: Any = _prototypes.camunda_progress_fn(_progress)
sink: Any = _prototypes.camunda_write_fn(_sink)
log: Any = _prototypes.camunda_log_fn(_log)


# ---- The gap ----------------------------------------------------------------------------------

_codes: Set[CodeType] = set()


def guard(function: Any) -> None:
    """Makes `unraisable_kept` watch over the first step of a callback."""
    _codes.add(function.__code__)


for _function in (_progress, _sink, _log):
    guard(_function)


@contextmanager
def unraisable_kept() -> Iterator[None]:
    """Keeps exceptions that signal handlers raise in the first step of a callback.

    Only the main thread runs signal handlers, so elsewhere nothing is to be done.
    """
    if not on_main_thread():
        yield
        return
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        trace = unraisable.exc_traceback
        while trace is not None:
            if trace.tb_frame.f_code in _codes and unraisable.exc_value is not None:
                keep(unraisable.exc_value)
                return
            trace = trace.tb_next
        before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        # Whoever put another one in its place meanwhile had a reason to.
        if sys.unraisablehook is hook:
            sys.unraisablehook = before


def _begin_anew() -> None:
    """In a forked child: the one thread that is left is the main one, and none of its calls is under
    way.
    """
    global _main_thread
    _main_thread = get_ident()
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
