"""Secrets in the package's own frames: tracebacks that show local variables show their `repr`.

A value is wrapped as soon as it enters the package, and goes to C as it is: the wrappers of `str` and
`bytes` are a `str` and `bytes`.
"""

from typing import Any

__all__ = ["Hidden", "HiddenBytes", "HiddenStr", "expose", "hide"]

_SHOWN = "<hidden>"


class HiddenStr(str):
    """A `str` whose `repr` does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _SHOWN

    def __getitem__(self, key: Any) -> str:
        # Some tools cut a long text before they show it.
        return HiddenStr(super().__getitem__(key))


class HiddenBytes(bytes):
    """A `bytes` whose `repr` does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _SHOWN

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return HiddenBytes(part) if isinstance(part, bytes) else part


class Hidden:
    """Any other value, whose `repr` does not show it."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def expose(self) -> Any:
        """The value."""
        return self._value

    def __repr__(self) -> str:
        return _SHOWN


def hide(value: Any) -> Any:
    """Wraps a secret; `None` is none. Never fails, whatever the type."""
    if value is None or isinstance(value, (Hidden, HiddenStr, HiddenBytes)):
        return value
    if isinstance(value, str):
        return HiddenStr(value)
    return Hidden(value)


def expose(value: Any) -> Any:
    """The value of a `Hidden`; anything else as it is."""
    return value.expose() if isinstance(value, Hidden) else value
