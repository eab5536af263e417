"""Callbacks from C into Python: signal checks, wait progress, CSV data, logging.

An exception must not leave a callback, since ctypes would print and drop it. So the callback stores it
for its thread and makes the call end; the method that made the call then raises it.

`try` in a callback does not cover the first step of the function, and Python runs signal handlers on
the main thread between any two steps. The signal check, which runs most often, is therefore a
suspended generator: C resumes it inside of its `try`. The other callbacks take more arguments than
`send` passes; for them `store_unraisable` stores an exception that ctypes reports as unraisable.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
from _thread import get_ident

from . import _prototypes
from ._native_handle import borrow_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from types import CodeType
    from typing import Any, Callable, Dict, Generator, Optional, Set

__all__ = [
    "CallbackTarget",
    "SignalWatch",
    "log",
    "log_level",
    "logger",
    "on_main_thread",
    "pop_exception",
    "progress",
    "protect_first_step",
    "sink",
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


# As `threading` itself determines it: without that module, the thread that imports this one.
_main_thread = (
    sys.modules["threading"].main_thread().ident if "threading" in sys.modules else get_ident()
)


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

    callback: Any
    busy: bool

    def __init__(self) -> None:
        self._generator: Any = _check_signals()
        next(self._generator)
        self.callback = _prototypes.camunda_interrupt_check_fn(self._generator.send)
        #: Whether a call uses it. A call that a signal handler makes during this one needs another.
        self.busy = False

    @property
    def usable(self) -> bool:
        """Whether its generator has not ended."""
        return self._generator.gi_frame is not None


# ---- Progress and CSV -------------------------------------------------------------------------

# C receives a number as its `user` pointer. The table holds a reference to the function while C has
# the number.
_targets: Dict[int, Callable[[Any], object]] = {}
_numbers = itertools.count(1)


class CallbackTarget:
    """A context manager that gives a number: `progress` or `sink` with it as `user` calls `function`."""

    __slots__ = ("_function", "_number")

    def __init__(self, function: Callable[[Any], object]) -> None:
        self._function = function
        self._number = next(_numbers)

    def __enter__(self) -> int:
        _targets[self._number] = self._function
        return self._number

    def __exit__(self, *_: object) -> None:
        del _targets[self._number]


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

_TRACE = 5
#: The levels of `logging` by those of the C ABI.
_LEVELS = {
    _prototypes.CAMUNDA_LOG_ERROR: 40,
    _prototypes.CAMUNDA_LOG_WARN: 30,
    _prototypes.CAMUNDA_LOG_INFO: 20,
    _prototypes.CAMUNDA_LOG_DEBUG: 10,
    _prototypes.CAMUNDA_LOG_TRACE: _TRACE,
}


def logger() -> Optional[logging.Logger]:
    """Return the logger of the package if its records reach a handler.

    A program that has not imported `logging`, which is slow to import, has no handler.
    """
    module = sys.modules.get("logging")
    if module is None:
        return None
    result: logging.Logger = module.getLogger("camunda_admin")
    each: Optional[logging.Logger] = result
    while each is not None:
        if any(not isinstance(handler, module.NullHandler) for handler in each.handlers):
            return result
        each = each.parent if each.propagate else None
    return None


def log_level() -> Optional[int]:
    """Return the most verbose level that the logger is enabled for, as a level of the C ABI.

    None if no handler would receive a record.
    """
    log_to = logger()
    if log_to is None:
        return None
    enabled = [number for number, level in _LEVELS.items() if log_to.isEnabledFor(level)]
    return max(enabled, default=None)


def _log(_user: Optional[int], level: int, target: Optional[bytes], message: bytes) -> None:
    try:
        log_to = logger()
        if log_to is not None:
            log_to.log(
                _LEVELS.get(level, 10),
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


class store_unraisable:
    """A context manager that stores exceptions of signal handlers in the first step of a callback.

    Does nothing on other threads than the main one, which alone runs signal handlers.
    """

    __slots__ = ("_before", "_hook")

    def __enter__(self) -> None:
        self._hook: Any = None
        if not on_main_thread():
            return
        before = self._before = sys.unraisablehook

        def hook(unraisable: Any) -> None:
            trace = unraisable.exc_traceback
            while trace is not None:
                if trace.tb_frame.f_code in _protected_codes and unraisable.exc_value is not None:
                    store_exception(unraisable.exc_value)
                    return
                trace = trace.tb_next
            before(unraisable)

        self._hook = sys.unraisablehook = hook

    def __exit__(self, *_: object) -> None:
        # Keeps a hook that the program has set during the call.
        if self._hook is not None and sys.unraisablehook is self._hook:
            sys.unraisablehook = self._before


def _reset_after_fork() -> None:
    """Reset the state in a forked child, whose only thread is its main one and has no call in progress."""
    global _main_thread
    _main_thread = get_ident()
    _stored.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
