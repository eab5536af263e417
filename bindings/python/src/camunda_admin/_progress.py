"""The progress display of waiters, for `progress=True`.

On a terminal one line that is updated, else a line for each change.
"""

import sys
import time
from typing import Any, Optional, TextIO

from ._models import Backup, Cluster, Restore

__all__ = ["ProgressDisplay"]


class ProgressDisplay:
    """A display of the state of the resource that a waiter polls. Default: on standard error."""

    def __init__(self, stream: Optional[TextIO] = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = _is_terminal(self._stream)
        self._started = time.monotonic()
        self._shown = ""

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._shown:
            self._write("\n")

    def show(self, resource: Any) -> None:
        """Display the state of the resource as just polled."""
        state = _printable(describe(resource))
        if self._terminal:
            # Return to the start of the line, and erase what is right of the new text.
            self._write(f"\r{state} ({_elapsed(time.monotonic() - self._started)})\x1b[K")
        elif state != self._shown:
            self._write(f"{state} ({_elapsed(time.monotonic() - self._started)})\n")
        self._shown = state

    def _write(self, text: str) -> None:
        if self._stream is None:  # a program without a console
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # A stream that is closed must not end the wait.
            pass


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
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):
        return False


def _printable(text: str) -> str:
    """Replace control characters: the API returns names that may contain escape sequences."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
