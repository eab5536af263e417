"""The progress of a wait for people: one line in a terminal, else a line for each change."""

import sys
import time
from typing import Any, Optional, TextIO

from ._models import Backup, Cluster, Restore

__all__ = ["Display"]


class Display:
    """Shows on standard error what a waiter sees."""

    def __init__(self, stream: Optional[TextIO] = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = _is_terminal(self._stream)
        self._started = time.monotonic()
        self._shown = ""

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._shown:
            self._write("\n")

    def show(self, seen: Any) -> None:
        """Shows what a look showed."""
        state = _printable(describe(seen))
        if self._terminal:
            # Back to the beginning of the line, and erase what is right of the new text.
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
            # A display that went away is no reason to end the wait.
            pass


def describe(seen: Any) -> str:
    """What was seen, in a few words."""
    if isinstance(seen, Cluster):
        key = seen.encryption.status if seen.encryption is not None else None
        waiting = f", encryption {key}" if key and key != "Ready" else ""
        return f"{seen.name or seen.uuid}: {seen.status.ready or 'no status yet'}{waiting}"
    if isinstance(seen, Backup):
        return f"backup {seen.name or seen.uuid}: {seen.status or 'no status yet'}"
    if isinstance(seen, Restore):
        return f"restore of {seen.backup_id}: {seen.state or 'no state yet'}"
    return type(seen).__name__


def _is_terminal(stream: Optional[TextIO]) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):
        return False


def _printable(text: str) -> str:
    """Without control characters: names are the service's, the terminal is ours."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
