"""Counters of a client."""

from __future__ import annotations

from ._lazy import t
from ._model_base import Model

__all__ = ["Stats"]


class Stats(Model):
    """Counters of a client since it was created.

    Attributes:
        calls: Operations called.
        requests: API requests sent, including retries.
        retries: API requests retried after a transient error.
        token_requests: Token requests sent by this client.
        token_cache_hits: Tokens taken from the cache.
        bytes_sent: Bytes sent over API connections, including TLS.
        bytes_received: Bytes received over API connections, including TLS.
        extra: Counters of a newer library.
    """

    __slots__ = ()
    __match_args__ = (
        "calls",
        "requests",
        "retries",
        "token_requests",
        "token_cache_hits",
        "bytes_sent",
        "bytes_received",
    )
    _names = {name: name for name in __match_args__}

    def __init__(
        self,
        calls: int = 0,
        requests: int = 0,
        retries: int = 0,
        token_requests: int = 0,
        token_cache_hits: int = 0,
        bytes_sent: int = 0,
        bytes_received: int = 0,
        extra: t.Optional[t.Mapping[str, t.Any]] = None,
    ) -> None:
        self._fill(
            (
                calls,
                requests,
                retries,
                token_requests,
                token_cache_hits,
                bytes_sent,
                bytes_received,
            ),
            extra,
        )

    @property
    def calls(self) -> int:
        """Operations called."""
        return self["calls"]

    @property
    def requests(self) -> int:
        """API requests sent, including retries."""
        return self["requests"]

    @property
    def retries(self) -> int:
        """API requests retried after a transient error."""
        return self["retries"]

    @property
    def token_requests(self) -> int:
        """Token requests sent by this client."""
        return self["token_requests"]

    @property
    def token_cache_hits(self) -> int:
        """Tokens taken from the cache."""
        return self["token_cache_hits"]

    @property
    def bytes_sent(self) -> int:
        """Bytes sent over API connections, including TLS."""
        return self["bytes_sent"]

    @property
    def bytes_received(self) -> int:
        """Bytes received over API connections, including TLS."""
        return self["bytes_received"]

    def __getitem__(self, name: str) -> int:
        if name not in self._data and name not in self._names:
            raise KeyError(name)
        value: int = self._data.get(name, 0)
        return value


# The name that programs import.
Stats.__module__ = "camunda_admin"
