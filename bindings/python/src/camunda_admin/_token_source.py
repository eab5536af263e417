"""Sources of access tokens."""

from __future__ import annotations

from ctypes import byref, c_size_t, c_void_p, string_at

from ._arguments import empty, encode_str, wrong_type
from ._connection import UNSET, CallOptions, Cancel, Connection
from ._credentials import check_variables, parse
from ._hidden import Hidden, hide, hide_values
from ._json import decode
from ._lazy import t, types
from ._library import lib
from ._native_handle import Closeable, NativeHandle, check, like, take_json
from ._settings import SECRETS, TOKEN_KEYS, check_settings, configure, connect, own_config
from ._stats import Stats
from ._token import Token

# Without the annotation, the completion of IPython (jedi) ignores the branch.
TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    TokenSourceT = t.TypeVar("TokenSourceT", bound="TokenSource")

__all__ = ["TokenSource", "source_of"]


class TokenSource(Closeable):
    """Source of access tokens for any OAuth credentials, with the token cache of the clients.

    With the credentials of a cluster client it returns tokens for Zeebe and the other components:
    `TokenSource(ClusterCredentials.from_env_file("worker.env")).access_token()`.

    Args:
        credentials: The variables of a cluster client, such as a `ClusterCredentials`.
        **settings: Settings of `AdminClient` for token requests: `token_cache`, `timeout`,
            `ca_file`, `proxy`, …; all but the credentials and `base_url`.

    Raises:
        ConfigError: a variable or a setting is missing or not valid.
        TypeError: there is no such setting, or a value is of the wrong type.
    """

    __slots__ = ("_connection", "_audience", "_last", "__weakref__")

    if TYPE_CHECKING:
        _connection: Connection
        _audience: t.Optional[bytes]
        _last: t.Optional[NativeHandle]

    def __init__(
        self, credentials: t.Mapping[str, str], **settings: t.Unpack[types.TokenSettings]
    ) -> None:
        # Before any call that can fail, since a traceback may show local variables.
        hide_values(settings, SECRETS)
        expected = "a ClusterCredentials, or a dict of variables"
        credentials = check_variables("credentials", credentials, expected)
        checked = check_settings(settings, TOKEN_KEYS, "TokenSource")
        variables = parse(Hidden(dict(credentials)))
        config, error = c_void_p(), c_void_p()
        status = lib.camunda_config_from_credentials(
            variables.pointer, byref(config), byref(error)
        )
        check(status, error)
        owned = own_config(config.value)
        configure(owned, checked)
        client_id = credentials.get("ZEEBE_CLIENT_ID")
        description = f"as {client_id}" if client_id else "without credentials"
        self._connection = Connection(connect(owned, description), CallOptions())
        self._audience = None
        self._last = None

    def with_options(
        self: TokenSourceT,
        *,
        timeout: t.Optional[types.Timeout] = UNSET,
        cancel: t.Optional[Cancel] = UNSET,
    ) -> TokenSourceT:
        """Return the same source with options for the calls made through it. Both share the connections.

        An object of a subclass is copied with its attributes, without a call of `__init__`.

        Args:
            timeout: Deadline of `access_token` in seconds or as a `timedelta`. None: that of the settings.
                Default: unchanged.
            cancel: A handle that cancels `access_token`. None: none. Default: unchanged.
        """
        connection = self._connection.replaced(timeout, cancel)
        source = like(self)
        source._connection = connection
        return source

    def stats(self) -> Stats:
        """Return the counters of this source, or of the client that it was made from."""
        handle, value, error = self._connection.handle(), c_void_p(), c_void_p()
        check(lib.camunda_admin_stats(handle.pointer, byref(value), byref(error)), error)
        return decode(take_json(value), "stats", Stats._of)

    def access_token(self) -> Token:
        """Return a valid access token, for the header `Authorization: Bearer TOKEN`.

        Returns:
            A `str` with the attribute `expires_at`. While the token is cached, the call sends no request.

        Raises:
            CamundaError: no token could be obtained.
        """
        value = c_void_p()
        try:
            self._connection.call_void(
                lib.camunda_admin_token, "token", self._audience, byref(value)
            )
        except BaseException:
            lib.camunda_token_free(value)
            raise
        token = NativeHandle(value.value, lib.camunda_token_free)
        text = _token_text(token)
        self._last = token
        return Token._of(text, lib.camunda_token_expires_at(token.pointer))

    def invalidate(self, token: str) -> None:
        """Remove a token that a server rejected (401) from the cache, so that a new one is requested.

        Does nothing if `token` is not the last one that this source returned.
        """
        token = hide(token)
        if not isinstance(token, str):
            raise wrong_type("token", token, "a str")
        last = self._last
        if last is None or _token_text(last) != token:
            return
        handle, error = self._connection.handle(), c_void_p()
        status = lib.camunda_admin_invalidate_token(
            handle.pointer, self._audience, last.pointer, byref(error)
        )
        check(status, error)

    def close(self) -> None:
        """Release the last token.

        The connections close with the `AdminClient` that the source was made from, or with the last
        reference to the source.
        """
        self._last = None

    def __copy__(self: TokenSourceT) -> TokenSourceT:
        return self.with_options()

    def __enter__(self: TokenSourceT) -> TokenSourceT:
        return self

    def __repr__(self) -> str:
        connection = getattr(self, "_connection", None)
        if connection is None:  # if the constructor failed
            return "<TokenSource>"
        audience = f", audience {self._audience.decode()}" if self._audience else ""
        return f"<TokenSource {connection.shared.description}{audience}>"


def _token_text(token: NativeHandle) -> str:
    length = c_size_t()
    text = lib.camunda_token_str(token.pointer, byref(length))
    return string_at(text, length.value).decode()


def source_of(connection: Connection, audience: t.Optional[str]) -> TokenSource:
    """Return a source of the access tokens of a client's credentials."""
    source = TokenSource.__new__(TokenSource)
    source._connection = connection
    source._audience = None if audience is None else encode_str("audience", audience)
    if source._audience == b"":
        raise empty("audience", "an OAuth audience")
    source._last = None
    return source


if not TYPE_CHECKING:
    # What `typing.get_type_hints` returns: creating the variable would import `typing`.
    TokenSourceT = TokenSource

# The name that programs import.
TokenSource.__module__ = "camunda_admin"
