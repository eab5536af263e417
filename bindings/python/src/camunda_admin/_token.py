"""Access tokens."""

from __future__ import annotations

from ._arguments import wrong_type
from ._hidden import HiddenStr, hide
from ._lazy import t, types

__all__ = ["Token"]


class Token(HiddenStr):
    """An access token: a `str` with the time at which it expires. Its `repr` does not show the token.

    The library requests the next token before this one expires: call `AdminClient.token` or
    `TokenSource.access_token` for each request instead of storing the token.

    Args:
        value: The token.
        expires_at: An aware `datetime`.

    Attributes:
        expires_at: When the token expires, by the clock of this host: an aware `datetime` in UTC.
    """

    __slots__ = ("_milliseconds",)

    _milliseconds: int

    def __new__(cls, value: str, expires_at: types.datetime) -> Token:
        from datetime import datetime, timedelta, timezone

        value = hide(value)
        if not isinstance(value, str):
            raise wrong_type("value", value, "a str")
        if not isinstance(expires_at, datetime) or expires_at.tzinfo is None:
            raise wrong_type("expires_at", expires_at, "an aware datetime")
        since = expires_at - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return cls._of(value, since // timedelta(milliseconds=1))

    @classmethod
    def _of(cls, value: str, milliseconds: int) -> Token:
        """Return the token that expires so many milliseconds after 1970-01-01 UTC."""
        token = HiddenStr.__new__(cls, value)
        token._milliseconds = milliseconds
        return token

    @property
    def expires_at(self) -> types.datetime:
        """When the token expires, by the clock of this host: an aware `datetime` in UTC."""
        # Imported when needed: `datetime` is slow to import.
        from datetime import datetime, timedelta, timezone

        try:
            start = datetime(1970, 1, 1, tzinfo=timezone.utc)
            return start + timedelta(milliseconds=self._milliseconds)
        except OverflowError:
            return datetime.max.replace(tzinfo=timezone.utc)

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        return type(self), (str(self), self.expires_at)

    def __repr__(self) -> str:
        return f"<Token, expires {self.expires_at.isoformat(sep=' ', timespec='seconds')}>"


# The name that programs import.
Token.__module__ = "camunda_admin"
