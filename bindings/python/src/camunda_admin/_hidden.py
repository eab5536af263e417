"""Wrappers that keep secrets out of tracebacks which show local variables.

The package wraps a secret as soon as it receives it. The wrappers of `str` and `bytes` are subclasses
and are passed to C unchanged.
"""

from __future__ import annotations

from ._lazy import t

__all__ = ["Hidden", "HiddenBytes", "HiddenStr", "expose", "hide", "hide_values"]

_REDACTED = "<hidden>"


class HiddenStr(str):
    """A `str` whose `repr` is `<hidden>`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _REDACTED

    def __getitem__(self, key: t.Any) -> str:
        # Some tools truncate a long string before they show its `repr`.
        return HiddenStr(super().__getitem__(key))


class HiddenBytes(bytes):
    """A `bytes` whose `repr` is `<hidden>`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _REDACTED

    def __getitem__(self, key: t.Any) -> t.Any:
        part = super().__getitem__(key)
        return HiddenBytes(part) if isinstance(part, bytes) else part


class Hidden:
    """A container for a value of any type, whose `repr` is `<hidden>`."""

    __slots__ = ("_value",)

    def __init__(self, value: t.Any) -> None:
        self._value = value

    def expose(self) -> t.Any:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return _REDACTED


def hide(value: t.Any) -> t.Any:
    """Wrap a secret of any type; None stays None. Never fails."""
    if value is None or isinstance(value, (Hidden, HiddenStr, HiddenBytes)):
        return value
    if isinstance(value, str):
        return HiddenStr(value)
    return Hidden(value)


def hide_values(values: t.Any, always: t.Any = ()) -> None:
    """Wrap the strings of a dict, and the values with the names in `always`, in place."""
    for name, value in values.items():
        if isinstance(value, str) or name in always:
            values[name] = hide(value)


def expose(value: t.Any) -> t.Any:
    """Return the value of a `Hidden`; any other value unchanged."""
    return value.expose() if isinstance(value, Hidden) else value
