"""The progress display of waiters, for `progress=True`.

On a terminal one line that is updated, in a notebook one output that is updated, elsewhere a line for
each change and one every half minute.
"""

from __future__ import annotations

import os
import sys
import time

from ._arguments import wrong_type
from ._models import Backup, Cluster, Restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, TextIO

__all__ = ["ProgressDisplay", "describe", "reporter"]

#: Seconds after which a line is written to a stream other than a terminal, even without a change.
_LINE_INTERVAL = 30.0


class reporter:
    """A context manager that gives the function to call with each resource that is polled."""

    __slots__ = ("_report", "_display")

    def __init__(self, progress: Any) -> None:
        self._display: Optional[ProgressDisplay] = None
        if progress is True:
            self._display = ProgressDisplay()
            self._report: Callable[[Any], object] = self._display.show
        elif callable(progress):
            self._report = progress
        else:
            raise wrong_type("progress", progress, "a function, True, False or None")

    def __enter__(self) -> Callable[[Any], object]:
        return self._report

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.__exit__()


class ProgressDisplay:
    """A display of the state of the resource that a waiter polls. Default: on standard error."""

    def __init__(self, stream: Optional[TextIO] = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._output = _notebook_output() if stream is None else None
        self._terminal = self._output is None and _is_terminal(self._stream)
        self._clock = clock
        self._started = clock()
        self._written_at = self._started
        self._shown = ""

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._shown:
            self._write("\n")

    def show(self, resource: Any) -> None:
        """Display the state of the resource as just polled."""
        state = _printable(describe(resource))
        now = self._clock()
        line = f"{state} ({_elapsed(now - self._started)})"
        if self._output is not None:
            self._output.update({"text/plain": line}, raw=True)
        elif self._terminal:
            # Return to the start of the line, and erase what is right of the new text. A line that is
            # longer than the terminal is wide could not be overwritten.
            self._write(f"\r{line[: self._width()]}\x1b[K")
        elif state != self._shown or now - self._written_at >= _LINE_INTERVAL:
            self._write(f"{line}\n")
            self._written_at = now
        self._shown = state

    def _width(self) -> int:
        try:
            return max(os.get_terminal_size(self._stream.fileno()).columns - 1, 20)
        except (AttributeError, OSError, ValueError):
            return 79

    def _write(self, text: str) -> None:
        if self._stream is None:  # a program without a console
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # A stream that is closed must not end the wait.
            pass


def _notebook_output() -> Any:
    """Return an output of the notebook's cell that can be updated; None outside of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # The shell of a terminal has no kernel.
    if getattr(shell, "kernel", None) is None:
        return None
    from importlib import import_module

    display: Any = import_module("IPython.display").display
    return display({"text/plain": ""}, raw=True, display_id=True)


def describe(resource: Any) -> str:
    """Return the name and the state of a cluster, backup or restore."""
    if isinstance(resource, Cluster):
        key = resource.encryption.status if resource.encryption is not None else None
        waiting = f", encryption {key}" if key and key != "Ready" else ""
        name = resource.name or resource.uuid
        return f"{name}: {resource.status.ready or 'no status yet'}{waiting}"
    if isinstance(resource, Backup):
        return f"backup {resource.name or resource.uuid}: {resource.status or 'no status yet'}"
    if isinstance(resource, Restore):
        return f"restore of {resource.backup_id}: {resource.state or 'no state yet'}"
    return type(resource).__name__


def _is_terminal(stream: Optional[TextIO]) -> bool:
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _printable(text: str) -> str:
    """Replace control characters: the API returns names that may contain escape sequences."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
