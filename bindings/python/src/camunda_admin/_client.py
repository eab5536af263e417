"""The client `AdminClient`, its settings and call options, and token sources."""

from __future__ import annotations

import os
from ctypes import byref, c_size_t, c_void_p, string_at

from . import _callbacks, _prototypes
from ._arguments import (
    check_seconds,
    describe,
    empty,
    encode_body,
    encode_path,
    encode_str,
    invalid,
    wrong_type,
)
from ._connection import UNSET, CallOptions, Connection, SharedClient, encode_cluster_id
from ._credentials import ClusterCredentials, parse
from ._errors import ArgumentTypeError, ConfigError, InvalidArgumentError
from ._hidden import Hidden, hide, hide_values
from ._json import decode
from ._library import lib, shutdown
from ._model_base import Model
from ._native_handle import Closeable, NamedFile, NativeHandle, check, name_file, take_json
from ._operations import Activity, AdminOperations, ClusterHandle, Clusters, Members
from ._token import Token
from ._token_store import TokenStore, use_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Callable, Dict, Literal, Optional, Tuple, TypeVar, Union

    from typing_extensions import Unpack

    from ._connection import Cancel
    from ._types import Id, Idempotency, Method, Settings, StrPath, Timeout, TokenSettings

    T = TypeVar("T")
else:
    # From where `collections.abc`, which is slow to import, has it.
    from _collections_abc import Mapping

__all__ = ["AdminClient", "Stats", "TokenSource"]


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
        extra: Optional[Mapping[str, Any]] = None,
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


# ---- Settings ---------------------------------------------------------------------------------


def _configure(config: NativeHandle, settings: Mapping[str, Any]) -> None:
    error = c_void_p()
    for key, value in settings.items():
        if value is None:
            continue
        if key == "token_cache" and isinstance(value, TokenStore):
            use_store(config.pointer, value)
            continue
        text, problem = b"", None
        try:
            text = encode_str(key, _setting(key, value))
        except ArgumentTypeError:
            raise
        except InvalidArgumentError as invalid_value:
            problem = invalid_value.message
        if problem is not None:
            # Raised outside of `except`: the frames of the cause may show the value.
            raise ConfigError(problem)
        check(lib.camunda_config_set(config.pointer, key.encode(), text, byref(error)), error)


def _setting(key: str, value: Any) -> str:
    if key == "timeout":
        return repr(check_seconds(key, value))
    if key == "max_response_bytes":
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(key, value, "an int")
        return str(value)
    if key in _PATHS:
        if isinstance(value, os.PathLike):
            path = os.fspath(value)
            if isinstance(path, str):
                # Made absolute, since the library takes a string without a separator for a keyword.
                return os.path.abspath(os.path.expanduser(path)) if key == "token_cache" else path
        elif isinstance(value, str):
            return value
        expected = "a str, a path or a TokenStore" if key == "token_cache" else "a str or a path"
        raise wrong_type(key, value, expected)
    if isinstance(value, str):
        return value
    raise wrong_type(key, value, "a str")


_PATHS = ("client_secret_file", "token_cache", "ca_file", "client_cert", "client_key")


def _check_settings(settings: Any, known: Tuple[str, ...], caller: str) -> Dict[str, Any]:
    """Wrap the secrets of settings in their own dict; raise `TypeError` for one that does not exist.

    A traceback may show the dict, which is a local variable of the caller. Returns the dict.
    """
    checked: Dict[str, Any] = settings
    hide_values(checked, _SECRETS)
    for key in checked:
        if key not in known:
            from difflib import get_close_matches

            similar = [] if key in _KEYS else get_close_matches(key, known, 1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            raise TypeError(f"{caller}() got an unexpected keyword argument {key!r}{hint}")
    return checked


_SECRETS = ("client_secret", "access_token", "proxy")


def _description(settings: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """Return the server and the credentials of a client, for its `repr`."""
    url = settings.get("base_url") or variables.get("CAMUNDA_CONSOLE_BASE_URL") or _DEFAULT_BASE_URL
    replaced = any(map(settings.get, ("client_id", "client_secret", "client_secret_file")))
    token = not replaced and variables.get("CAMUNDA_CONSOLE_ACCESS_TOKEN")
    if settings.get("access_token") or token:
        return f"{url} with an access token"
    client_id = settings.get("client_id") or variables.get("CAMUNDA_CONSOLE_CLIENT_ID")
    return f"{url} as {client_id}" if client_id else f"{url} without credentials"


_DEFAULT_BASE_URL = "https://api.cloud.camunda.io"


def _own_config(config: Any) -> NativeHandle:
    """Take ownership of a configuration; calls of its clients are cancelled at interpreter exit."""
    owned, error = NativeHandle(config, lib.camunda_config_free), c_void_p()
    check(lib.camunda_config_set_shutdown(owned.pointer, shutdown, byref(error)), error)
    return owned


def _connect(config: NativeHandle, description: str) -> SharedClient:
    admin, error = c_void_p(), c_void_p()
    level = _callbacks.log_level()
    if level is not None:
        status = lib.camunda_config_set_log(
            config.pointer, level, _callbacks.log, None, byref(error)
        )
        check(status, error)
    check(lib.camunda_admin_new(config.pointer, byref(admin), byref(error)), error)
    handle = NativeHandle(admin.value, lib.camunda_admin_free)
    return SharedClient(handle, level is not None, description)


# ---- The client -------------------------------------------------------------------------------

_IDEMPOTENCY: Dict[Optional[Idempotency], int] = {
    None: _prototypes.CAMUNDA_IDEMPOTENCY_BY_METHOD,
    "safe": _prototypes.CAMUNDA_IDEMPOTENCY_SAFE,
    "idempotent": _prototypes.CAMUNDA_IDEMPOTENCY_IDEMPOTENT,
    "non_idempotent": _prototypes.CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT,
}


class AdminClient(AdminOperations, Closeable):
    """Client for the Camunda 8 Administration API.

    A client can be shared between threads. It owns a pool of connections. All clients of the process
    with the same credentials share cached tokens, and by default all processes of the user do, through
    files. Creating a client sends no request.

    Calls block without holding the GIL; Ctrl-C ends them. When the interpreter exits, calls in
    progress on daemon threads are cancelled: they raise `SystemExit`, which ends their thread without
    a message.

    The client logs under the logger `camunda_admin` at the level that is enabled, and to the handlers
    that are configured, when it is created: configure `logging` before. Without a handler, nothing is
    logged.

    Args:
        client_id: OAuth client id. Default: none; without `access_token`, only `ip_ranges` can be
            called then.
        client_secret: OAuth client secret; this or `client_secret_file` is required with `client_id`.
        client_secret_file: File with the client secret: one line of UTF-8, at most 64 KiB. It is read
            again when the token endpoint rejects the credentials.
        access_token: Access token that is used unmodified, instead of the credentials. No token request
            is sent. When the API rejects it, calls raise `AuthenticationError`.
        base_url: URL of the API. Default: `https://api.cloud.camunda.io`.
        oauth_url: URL of the token endpoint. Default:
            `https://login.cloud.camunda.io/oauth/token`.
        audience: OAuth audience. Default: `api.cloud.camunda.io`.
        scope: OAuth scope. Default: none.
        token_cache: Where tokens are shared. `auto`: files in the user's cache directory. `memory`: this
            process only. A directory: a path object, or a string that has a separator or begins with
            `.` or `~`. A `redis://`, `rediss://`, `valkey://` or `valkeys://` URL. A `TokenStore`.
            Default: `auto`.
        timeout: Deadline of a call in seconds, including token requests and retries. Default: 60.
        ca_file: PEM file of certificate authorities that replace those of the platform.
            Without it, the environment variables SSL_CERT_FILE and SSL_CERT_DIR replace
            them on Linux.
        client_cert: PEM file of a client certificate (mTLS).
        client_key: PEM file of its private key, unencrypted.
        proxy: `http://` URL of a proxy. Default: that of the environment.
        user_agent: `User-Agent` header. Default: `camunda-admin/VERSION`.
        token_request_format: Body of token requests: `json`, or `form` for other OAuth servers.
            Default: `json`.
        max_response_bytes: Maximum size of a response body in bytes. Default: 64 MiB.

    Raises:
        ConfigError: a setting is missing or not valid; the message has its name.
    """

    __slots__ = ("clusters", "members", "activity", "_owns")

    clusters: Clusters
    """Operations on the clusters of the organization."""
    members: Members
    """Operations on the members of the organization."""
    activity: Activity
    """Operations on the audit log of the organization."""

    def __init__(
        self,
        *,
        client_id: Optional[str] = None,
        client_secret: Optional[str] = None,
        client_secret_file: Optional[StrPath] = None,
        access_token: Optional[str] = None,
        base_url: Optional[str] = None,
        oauth_url: Optional[str] = None,
        audience: Optional[str] = None,
        scope: Optional[str] = None,
        token_cache: Union[StrPath, TokenStore, None] = None,
        timeout: Optional[Timeout] = None,
        ca_file: Optional[StrPath] = None,
        client_cert: Optional[StrPath] = None,
        client_key: Optional[StrPath] = None,
        proxy: Optional[str] = None,
        user_agent: Optional[str] = None,
        token_request_format: Optional[Literal["json", "form"]] = None,
        max_response_bytes: Optional[int] = None,
    ) -> None:
        # Before any call that can fail: the URL of a proxy or a store may contain a password.
        client_secret, proxy = hide(client_secret), hide(proxy)
        access_token = hide(access_token)
        token_cache = hide(token_cache) if isinstance(token_cache, str) else token_cache
        settings = dict(locals())
        config = _own_config(lib.camunda_config_new())
        _configure(config, {key: settings[key] for key in _KEYS})
        self._use(Connection(_connect(config, _description(settings, {})), CallOptions()), True)

    @classmethod
    def from_env(cls, **settings: Unpack[Settings]) -> AdminClient:
        """Create a client from the environment variables of Camunda's SDKs.

        A setting that is given replaces its variable, which is then not required. Required: `CAMUNDA_CONSOLE_CLIENT_ID`, and `CAMUNDA_CONSOLE_CLIENT_SECRET` or
        `CAMUNDA_CONSOLE_CLIENT_SECRET_FILE`; or `CAMUNDA_CONSOLE_ACCESS_TOKEN`. Optional:
        `CAMUNDA_CONSOLE_BASE_URL`, `CAMUNDA_CONSOLE_OAUTH_AUDIENCE`, `CAMUNDA_OAUTH_URL`,
        `CAMUNDA_TOKEN_SCOPE`, `CAMUNDA_TOKEN_CACHE_DIR`, `CAMUNDA_TOKEN_DISK_CACHE_DISABLE`,
        `CAMUNDA_TOKEN_CACHE_REDIS_URL`, `CAMUNDA_CUSTOM_ROOT_CERT_PATH`,
        `CAMUNDA_CUSTOM_CERT_CHAIN_PATH`, `CAMUNDA_CUSTOM_PRIVATE_KEY_PATH` and
        `CAMUNDA_CUSTOM_USER_AGENT_STRING`.

        If `CAMUNDA_TOKEN_DISK_CACHE_DISABLE` is `true`, no file is written: tokens are shared through
        `CAMUNDA_TOKEN_CACHE_REDIS_URL` if that is set, and not at all otherwise.

        Args:
            **settings: Settings of `AdminClient`, which replace those of the variables. A client id or
                secret also replaces the access token of a variable.

        Raises:
            ConfigError: a variable is not set or not valid; the message has its name.
            TypeError: there is no such setting, or its value is of the wrong type.
        """
        checked = _check_settings(settings, _KEYS, "AdminClient.from_env")
        config, error = _own_config(lib.camunda_config_new()), c_void_p()
        check(lib.camunda_config_load_env(config.pointer, byref(error)), error)
        return cls._of(config, checked, _description(checked, os.environ))

    @classmethod
    def from_env_file(cls, path: StrPath, **settings: Unpack[Settings]) -> AdminClient:
        """Create a client from a credential file of the Console. Ignores the environment.

        Args:
            path: A file of `export NAME='value'` or `NAME=value` lines with the variables of
                `from_env`.
            **settings: Settings of `AdminClient`, which replace those of the file, as in `from_env`.

        Raises:
            FileError: the file cannot be read.
            ConfigError: a line or a variable is not valid, or a required variable is missing.
            TypeError: there is no such setting, or its value is of the wrong type.
        """
        checked = _check_settings(settings, _KEYS, "AdminClient.from_env_file")
        config, error = _own_config(lib.camunda_config_new()), c_void_p()
        encoded = encode_path("path", path)
        with NamedFile(path):
            status = lib.camunda_config_load_env_file(config.pointer, encoded, byref(error))
            check(status, error)
        variables = ClusterCredentials.from_env_file(path)
        try:
            return cls._of(config, checked, _description(checked, variables))
        except ConfigError as missing:
            name_file(missing, path)
            raise

    @classmethod
    def _of(
        cls, config: NativeHandle, settings: Dict[str, Any], description: str
    ) -> AdminClient:
        _configure(config, settings)
        admin = cls.__new__(cls)
        admin._use(Connection(_connect(config, description), CallOptions()), True)
        return admin

    def _use(self, connection: Connection, owns: bool) -> None:
        self._connection = connection
        #: Whether closing this object closes the connections of all objects made from it.
        self._owns = owns
        self._id = b""
        self.clusters = Clusters(connection)
        self.members = Members(connection)
        self.activity = Activity(connection)

    def cluster(self, cluster_id: Id) -> ClusterHandle:
        """Return a handle for the operations on one cluster. Sends no request.

        Args:
            cluster_id: The cluster's id: a `str` or a `uuid.UUID`.

        Raises:
            InvalidArgumentError: the id is empty or has a `.` or `..` path segment.
        """
        return ClusterHandle(self._connection, encode_cluster_id(cluster_id))

    def with_options(
        self, *, timeout: Optional[Timeout] = UNSET, cancel: Optional[Cancel] = UNSET
    ) -> AdminClient:
        """Return the same client with options for the calls made through it.

        Both share the connections. Closing the returned client, also by a `with` block, ends its own
        calls only; closing the client that was created first closes the connections of both.

        Args:
            timeout: Deadline of a call, and of a wait, in seconds or as a `timedelta`. None: that of the
                settings. Default: unchanged.
            cancel: A handle that cancels the calls. None: none. Default: unchanged.
        """
        admin = type(self).__new__(type(self))
        admin._use(self._connection.replaced(timeout, cancel), False)
        return admin

    def __copy__(self) -> AdminClient:
        return self.with_options()

    def token(self, audience: Optional[str] = None) -> Token:
        """Return an access token of this client's credentials: a `str` with the attribute `expires_at`.

        It comes from the cache that the calls use. A token request is sent only if no valid token is
        cached. A client with an `access_token` returns that one; its expiry is the `exp` of a JWT, else
        30 days after the client was created.

        Args:
            audience: OAuth audience. Default: that of this client, and the only one with an
                `access_token`.

        Raises:
            CamundaError: no token could be obtained.
        """
        return self.token_source(audience).access_token()

    def token_source(self, audience: Optional[str] = None) -> TokenSource:
        """Return a source of access tokens of this client's credentials.

        Args:
            audience: OAuth audience. Default: that of this client.
        """
        source = TokenSource.__new__(TokenSource)
        source._connection = self._connection
        source._audience = None if audience is None else encode_str("audience", audience)
        if source._audience == b"":
            raise empty("audience", "an OAuth audience")
        source._last = None
        return source

    def request(
        self,
        method: Method,
        path: str,
        body: Any = None,
        idempotency: Optional[Idempotency] = None,
        *,
        timeout: Optional[Timeout] = None,
        cancel: Optional[Cancel] = None,
    ) -> Any:
        """Send a request to an endpoint that this version has no method for.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: Path and query, for example `/clusters?new=1`.
            body: JSON-serializable value, or None.
            idempotency: `safe` and `idempotent` requests are retried after transient errors,
                `non_idempotent` ones only if no byte of the request was sent. Default: `safe` for GET,
                else `non_idempotent`.
            timeout: Deadline of the call in seconds, or as a `timedelta`. Default: that of the client.
            cancel: A handle that cancels the call. Default: that of `with_options`.

        Returns:
            The decoded JSON response, or None if it has no body.

        Raises:
            CamundaError: as any operation.
        """
        body = None if body is None else Hidden(body)
        known = idempotency is None or isinstance(idempotency, str)
        number = _IDEMPOTENCY.get(idempotency) if known else None
        if number is None:
            expected = "'safe', 'idempotent', 'non_idempotent' or None"
            raise invalid("idempotency", f"{describe(idempotency)} given", expected)
        if isinstance(method, str) and method not in _METHODS:
            raise invalid("method", f"{describe(method)} given", "GET, POST, PUT, PATCH or DELETE")
        return self._calls(timeout, cancel).call_value(
            lib.camunda_request,
            "request",
            _unchanged,
            number,
            encode_str("method", method),
            _encode_request_path(path),
            *((None, 0) if body is None else encode_body(body)),
        )

    def stats(self) -> Stats:
        """Return the counters of this client and of those made from it with `with_options`."""
        return self._query(lib.camunda_admin_stats, "stats", Stats._of)

    def diagnostics(self) -> Dict[str, Any]:
        """Return the state of cached tokens, rate limiters and token stores, without secrets."""
        return self._query(lib.camunda_admin_diagnostics, "diagnostics", dict)

    def clear_auth_failure(self) -> None:
        """Clear the stored authentication failure of this client's credentials.

        Call it after the credentials were fixed in the Console: the next call then sends a token
        request. Without it, calls fail with `AuthenticationError` and send nothing until
        `CamundaError.retry_after` has elapsed. The failure is cleared in memory and in the token store.
        Does nothing for a client with an `access_token`.
        """
        handle, error = self._connection.handle(), c_void_p()
        check(lib.camunda_admin_clear_auth_failure(handle.pointer, byref(error)), error)

    def invalidate_tokens(self) -> None:
        """Remove this client's token from memory and the token store; the next call requests a new one.

        Does nothing for a client with an `access_token`.
        """
        handle, error = self._connection.handle(), c_void_p()
        check(lib.camunda_admin_invalidate_tokens(handle.pointer, byref(error)), error)

    def close(self) -> None:
        """Close the connections. Calls in progress finish first; later calls raise `InvalidArgumentError`.

        A client that `with_options` returned closes no connections, only itself.
        """
        if self._owns:
            self._connection.shared.handle = None
        else:
            self._connection.close()

    def _query(self, function: Any, operation: str, convert: Callable[[Any], T]) -> T:
        handle, value, error = self._connection.handle(), c_void_p(), c_void_p()
        check(function(handle.pointer, byref(value), byref(error)), error)
        return decode(take_json(value), operation, convert)

    def __enter__(self) -> AdminClient:
        return self

    def __repr__(self) -> str:
        connection = getattr(self, "_connection", None)
        if connection is None:  # if the constructor failed
            return "<AdminClient, not connected>"
        shared = connection.shared
        return f"<AdminClient {shared.description}{', closed' if shared.handle is None else ''}>"


#: The settings.
_KEYS = (
    "client_id",
    "client_secret",
    "client_secret_file",
    "access_token",
    "base_url",
    "oauth_url",
    "audience",
    "scope",
    "token_cache",
    "timeout",
    "ca_file",
    "client_cert",
    "client_key",
    "proxy",
    "user_agent",
    "token_request_format",
    "max_response_bytes",
)
#: The settings of `TokenSource`: without those that the credentials have.
_TOKEN_KEYS = tuple(
    key
    for key in _KEYS
    if key not in ("client_id", "client_secret", "client_secret_file", "access_token", "base_url")
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _encode_request_path(path: str) -> bytes:
    encoded = encode_str("path", path)
    if not encoded.startswith(b"/"):
        raise invalid("path", f"{describe(path)} given", "a path that begins with `/`")
    return encoded


def _unchanged(response: Any) -> Any:
    return response


# ---- Tokens -----------------------------------------------------------------------------------


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

    _connection: Connection
    _audience: Optional[bytes]
    _last: Optional[NativeHandle]

    def __init__(
        self, credentials: Mapping[str, str], **settings: Unpack[TokenSettings]
    ) -> None:
        # Before any call that can fail, since a traceback may show local variables.
        if not isinstance(credentials, Mapping):
            raise wrong_type("credentials", credentials, "a ClusterCredentials, or a dict of variables")
        hide_values(settings, _SECRETS)
        credentials = ClusterCredentials(credentials)
        checked = _check_settings(settings, _TOKEN_KEYS, "TokenSource")
        variables = parse(Hidden(dict(credentials)))
        config, error = c_void_p(), c_void_p()
        status = lib.camunda_config_from_credentials(
            variables.pointer, byref(config), byref(error)
        )
        check(status, error)
        owned = _own_config(config.value)
        _configure(owned, checked)
        client_id = credentials.get("ZEEBE_CLIENT_ID")
        description = f"as {client_id}" if client_id else "without credentials"
        self._connection = Connection(_connect(owned, description), CallOptions())
        self._audience = None
        self._last = None

    def with_options(
        self, *, timeout: Optional[Timeout] = UNSET, cancel: Optional[Cancel] = UNSET
    ) -> TokenSource:
        """Return the same source with options for the calls made through it. Both share the connections.

        Args:
            timeout: Deadline of `access_token` in seconds or as a `timedelta`. None: that of the settings.
                Default: unchanged.
            cancel: A handle that cancels `access_token`. None: none. Default: unchanged.
        """
        source = type(self).__new__(type(self))
        source._connection = self._connection.replaced(timeout, cancel)
        source._audience = self._audience
        source._last = self._last
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

    def __copy__(self) -> TokenSource:
        return self.with_options()

    def __enter__(self) -> TokenSource:
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
