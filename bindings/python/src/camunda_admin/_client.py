"""The client `AdminClient`, its settings and call options, and token sources."""

import os
from ctypes import byref, c_size_t, c_void_p, string_at
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Literal, Mapping, Optional, TypeVar, Union

from . import _callbacks, _prototypes
from ._arguments import check_number, encode_body, encode_path, encode_str
from ._connection import CallOptions, Connection, SharedClient, encode_cluster_id
from ._credentials import ClusterCredentials, parse
from ._errors import ArgumentTypeError, InvalidArgumentError
from ._hidden import Hidden, expose, hide
from ._json import decode
from ._model import Model
from ._native import lib, shutdown
from ._native_handle import Closeable, NativeHandle, check, take_json
from ._operations import Activity, AdminOperations, ClusterHandle, Clusters, Members
from ._token_store import TokenStore, use_store

__all__ = ["AdminClient", "Cancel", "Idempotency", "Stats", "TokenSource"]

#: Whether a request of `AdminClient.request` is retried. `safe` (it changes nothing) and `idempotent`
#: (executing it twice has the effect of executing it once) requests are retried after transient
#: errors, `non_idempotent` ones only if no byte of the request was sent.
Idempotency = Literal["safe", "idempotent", "non_idempotent"]

T = TypeVar("T")


class Cancel:
    """A handle that cancels calls from another thread or a signal handler.

    Pass it to `AdminClient.with_options`.
    """

    __slots__ = ("_handle",)

    def __init__(self) -> None:
        self._handle = NativeHandle(lib.camunda_cancel_new(), lib.camunda_cancel_free)

    def cancel(self) -> None:
        """Cancel all calls made with this object, in progress or made before `reset`.

        Calls in progress end within 100 ms. All raise `CancelledError`.
        """
        lib.camunda_cancel_trigger(self._handle.pointer)

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called, and `reset` was not called since."""
        return bool(lib.camunda_cancel_is_triggered(self._handle.pointer))

    def reset(self) -> None:
        """Allow new calls again. Calls that were in progress at the time of `cancel` stay cancelled."""
        lib.camunda_cancel_reset(self._handle.pointer)

    def __repr__(self) -> str:
        if getattr(self, "_handle", None) is None:  # if the constructor failed
            return "<Cancel>"
        return f"<Cancel, {'' if self.is_cancelled else 'not '}cancelled>"


@dataclass(frozen=True)
class Stats(Model):
    """Counters of a client since it was created."""

    # Operations called.
    calls: int = 0
    # API requests sent, including retries.
    requests: int = 0
    # API requests retried after a transient error.
    retries: int = 0
    # Token requests sent by this client.
    token_requests: int = 0
    # Tokens taken from the cache.
    token_cache_hits: int = 0
    # Bytes sent over API connections, including TLS.
    bytes_sent: int = 0
    # Bytes received over API connections, including TLS.
    bytes_received: int = 0
    # Counters of a newer library.
    extra: Dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def _decode(data: Optional[Dict[str, Any]]) -> "Stats":
        data = data or {}
        known = {name: data.pop(name) for name in _COUNTERS if name in data}
        return Stats(**known, extra=data)

    def to_dict(self) -> Dict[str, Any]:
        """Return all counters by name."""
        return {**{name: getattr(self, name) for name in _COUNTERS}, **self.extra}

    def __getitem__(self, name: str) -> int:
        value: int = self.to_dict()[name]
        return value


_COUNTERS = (
    "calls",
    "requests",
    "retries",
    "token_requests",
    "token_cache_hits",
    "bytes_sent",
    "bytes_received",
)


# ---- Settings ---------------------------------------------------------------------------------


def _configure(config: NativeHandle, settings: Mapping[str, Any]) -> None:
    error = c_void_p()
    for key, value in settings.items():
        if value is None:
            continue
        if key == "token_cache" and isinstance(value, TokenStore):
            use_store(config.pointer, value)
            continue
        text = encode_str(key, _setting(key, value))
        check(lib.camunda_config_set(config.pointer, key.encode(), text, byref(error)), error)


def _setting(key: str, value: Any) -> str:
    if key == "timeout":
        return repr(check_number(key, value))
    if key == "max_response_bytes":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(f"{key} is a {type(value).__name__}, not an int")
        return str(value)
    if isinstance(value, os.PathLike) and key == "token_cache":
        # Made absolute, since a string without a separator, such as "tokens", is not read as a path.
        return os.path.abspath(os.path.expanduser(str(os.fspath(value))))
    if isinstance(value, os.PathLike) and key in ("client_secret_file", "ca_file", "client_cert", "client_key"):
        return str(os.fspath(value))
    if isinstance(value, str):
        return value
    raise ArgumentTypeError(f"{key} is a {type(expose(value)).__name__}, not a str")


def _own_config(config: Any) -> NativeHandle:
    """Take ownership of a configuration; calls of its clients are cancelled at interpreter exit."""
    owned, error = NativeHandle(config, lib.camunda_config_free), c_void_p()
    check(lib.camunda_config_set_shutdown(owned.pointer, shutdown, byref(error)), error)
    return owned


def _connect(config: NativeHandle) -> SharedClient:
    admin, error = c_void_p(), c_void_p()
    level = _callbacks.log_level()
    if level is not None:
        status = lib.camunda_config_set_log(
            config.pointer, level, _callbacks.log, None, byref(error)
        )
        check(status, error)
    check(lib.camunda_admin_new(config.pointer, byref(admin), byref(error)), error)
    return SharedClient(NativeHandle(admin.value, lib.camunda_admin_free), level is not None)


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

    __slots__ = ("clusters", "members", "activity")

    def __init__(
        self,
        *,
        client_id: Optional[str] = None,
        client_secret: Optional[str] = None,
        client_secret_file: Union[str, "os.PathLike[str]", None] = None,
        access_token: Optional[str] = None,
        base_url: Optional[str] = None,
        oauth_url: Optional[str] = None,
        audience: Optional[str] = None,
        scope: Optional[str] = None,
        token_cache: Union[str, "os.PathLike[str]", TokenStore, None] = None,
        timeout: Optional[float] = None,
        ca_file: Union[str, "os.PathLike[str]", None] = None,
        client_cert: Union[str, "os.PathLike[str]", None] = None,
        client_key: Union[str, "os.PathLike[str]", None] = None,
        proxy: Optional[str] = None,
        user_agent: Optional[str] = None,
        token_request_format: Optional[str] = None,
        max_response_bytes: Optional[int] = None,
    ) -> None:
        # Before any call that can fail: the URL of a proxy or a store may contain a password.
        client_secret, proxy = hide(client_secret), hide(proxy)
        access_token = hide(access_token)
        token_cache = hide(token_cache) if isinstance(token_cache, str) else token_cache
        settings = dict(locals())
        config = _own_config(lib.camunda_config_new())
        _configure(config, {key: settings[key] for key in _KEYS})
        self._use(Connection(_connect(config), CallOptions()))

    @classmethod
    def from_env(cls) -> "AdminClient":
        """Create a client from the environment variables of Camunda's SDKs.

        Required: `CAMUNDA_CONSOLE_CLIENT_ID`, and `CAMUNDA_CONSOLE_CLIENT_SECRET` or
        `CAMUNDA_CONSOLE_CLIENT_SECRET_FILE`; or `CAMUNDA_CONSOLE_ACCESS_TOKEN`. Optional:
        `CAMUNDA_CONSOLE_BASE_URL`, `CAMUNDA_CONSOLE_OAUTH_AUDIENCE`, `CAMUNDA_OAUTH_URL`,
        `CAMUNDA_TOKEN_SCOPE`, `CAMUNDA_TOKEN_CACHE_DIR`, `CAMUNDA_TOKEN_DISK_CACHE_DISABLE`,
        `CAMUNDA_TOKEN_CACHE_REDIS_URL`, `CAMUNDA_CUSTOM_ROOT_CERT_PATH`,
        `CAMUNDA_CUSTOM_CERT_CHAIN_PATH`, `CAMUNDA_CUSTOM_PRIVATE_KEY_PATH` and
        `CAMUNDA_CUSTOM_USER_AGENT_STRING`.

        Raises:
            ConfigError: a variable is not set or not valid; the message has its name.
        """
        config, error = c_void_p(), c_void_p()
        check(lib.camunda_config_from_env(byref(config), byref(error)), error)
        return cls._of(_own_config(config.value))

    @classmethod
    def from_env_file(cls, path: Union[str, "os.PathLike[str]"]) -> "AdminClient":
        """Create a client from a credential file of the Console. Ignores the environment.

        Args:
            path: A file of `export NAME='value'` or `NAME=value` lines with the variables of
                `from_env`.

        Raises:
            FileError: the file cannot be read.
            ConfigError: a line or a variable is not valid, or a required variable is missing.
        """
        config, error = c_void_p(), c_void_p()
        status = lib.camunda_config_from_env_file(
            encode_path("path", path), byref(config), byref(error)
        )
        check(status, error)
        return cls._of(_own_config(config.value))

    @classmethod
    def _of(cls, config: NativeHandle) -> "AdminClient":
        admin = cls.__new__(cls)
        admin._use(Connection(_connect(config), CallOptions()))
        return admin

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._id = b""
        #: Operations on the clusters of the organization.
        self.clusters = Clusters(connection)
        #: Operations on the members of the organization.
        self.members = Members(connection)
        #: Operations on the audit log of the organization.
        self.activity = Activity(connection)

    def cluster(self, cluster_id: str) -> ClusterHandle:
        """Return a handle for the operations on one cluster. Sends no request."""
        return ClusterHandle(self._connection, encode_cluster_id(cluster_id))

    def with_options(
        self, *, timeout: Optional[float] = None, cancel: Optional[Cancel] = None
    ) -> "AdminClient":
        """Return the same client with options for the calls made through it.

        Both share the connections; closing one closes both. To remove an option, use a client that was
        created without it.

        Args:
            timeout: Deadline of a call, and of a wait, in seconds. None: the value of this client.
            cancel: A handle that cancels the calls. None: the value of this client.
        """
        handle = None if cancel is None else cancel._handle
        options = self._connection.options.replaced(timeout, handle)
        admin = type(self).__new__(type(self))
        admin._use(Connection(self._connection.shared, options))
        return admin

    def token(self, audience: Optional[str] = None) -> str:
        """Return an access token of this client's credentials.

        It comes from the cache that the calls use. A token request is sent only if no valid token is
        cached. A client with an `access_token` returns that one.

        Args:
            audience: OAuth audience. Default: that of this client, and the only one with an
                `access_token`.

        Raises:
            CamundaError: no token could be obtained.
        """
        return self.token_source(audience).access_token()

    def token_source(self, audience: Optional[str] = None) -> "TokenSource":
        """Return a source of access tokens of this client's credentials.

        Args:
            audience: OAuth audience. Default: that of this client.
        """
        source = TokenSource.__new__(TokenSource)
        source._connection = self._connection
        source._audience = None if audience is None else encode_str("audience", audience)
        source._last = None
        return source

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        idempotency: Optional[Idempotency] = None,
    ) -> Any:
        """Send a request to an endpoint that this version has no method for.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: Path and query, for example `/clusters?new=1`.
            body: JSON-serializable value, or None.
            idempotency: `safe` and `idempotent` requests are retried after transient errors,
                `non_idempotent` ones only if no byte of the request was sent. Default: `safe` for GET,
                else `non_idempotent`.

        Returns:
            The decoded JSON response, or None if it has no body.

        Raises:
            CamundaError: as any operation.
        """
        body = None if body is None else Hidden(body)
        number = _IDEMPOTENCY.get(idempotency)
        if number is None:
            raise InvalidArgumentError("idempotency is not valid; expected 'safe', 'idempotent' or 'non_idempotent'")
        return self._connection.call_value(
            lib.camunda_request,
            "request",
            _unchanged,
            number,
            encode_str("method", method),
            encode_str("path", path),
            *((None, 0) if body is None else encode_body(body)),
        )

    def stats(self) -> Stats:
        """Return the counters of this client and of those made from it with `with_options`."""
        return self._query(lib.camunda_admin_stats, "stats", Stats._decode)

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
        """Close the connections. Calls in progress finish first; later calls raise `InvalidArgumentError`."""
        self._connection.shared.handle = None

    def _query(self, function: Any, operation: str, convert: Callable[[Any], T]) -> T:
        handle, value, error = self._connection.handle(), c_void_p(), c_void_p()
        check(function(handle.pointer, byref(value), byref(error)), error)
        return decode(take_json(value), operation, convert)

    def __enter__(self) -> "AdminClient":
        return self

    def __repr__(self) -> str:
        connection = getattr(self, "_connection", None)
        if connection is None:  # if the constructor failed
            return "<AdminClient, not connected>"
        return f"<AdminClient{', closed' if connection.shared.handle is None else ''}>"


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


def _unchanged(response: Any) -> Any:
    return response


# ---- Tokens -----------------------------------------------------------------------------------


class TokenSource(Closeable):
    """Source of access tokens for any OAuth credentials, with the token cache of the clients.

    With the credentials of a cluster client it returns tokens for Zeebe and the other components:
    `TokenSource(ClusterCredentials.from_env_file("worker.env")).access_token()`.

    Args:
        credentials: The variables of a cluster client, such as a `ClusterCredentials`.
        **settings: Settings of `AdminClient` that are not part of the credentials: `token_cache`,
            `ca_file`, `proxy`, ….

    Raises:
        ConfigError: a variable or a setting is missing or not valid.
    """

    __slots__ = ("_connection", "_audience", "_last")

    _connection: Connection
    _audience: Optional[bytes]
    _last: Optional[NativeHandle]

    def __init__(self, credentials: Mapping[str, str], **settings: Any) -> None:
        # Before any call that can fail, since a traceback may show local variables.
        credentials = ClusterCredentials(credentials)
        settings = {
            key: hide(value) if isinstance(value, str) else value
            for key, value in settings.items()
        }
        unknown = [key for key in settings if key not in _KEYS]
        if unknown:
            raise TypeError(f"TokenSource() got an unexpected keyword argument {unknown[0]!r}")
        variables = parse(Hidden(dict(credentials)))
        config, error = c_void_p(), c_void_p()
        status = lib.camunda_config_from_credentials(
            variables.pointer, byref(config), byref(error)
        )
        check(status, error)
        owned = _own_config(config.value)
        _configure(owned, settings)
        self._connection = Connection(_connect(owned), CallOptions())
        self._audience = None
        self._last = None

    def with_options(
        self, *, timeout: Optional[float] = None, cancel: Optional[Cancel] = None
    ) -> "TokenSource":
        """Return the same source with options for the calls made through it. Both share the connections.

        Args:
            timeout: Deadline of `access_token` in seconds. None: the value of this source.
            cancel: A handle that cancels `access_token`. None: the value of this source.
        """
        handle = None if cancel is None else cancel._handle
        options = self._connection.options.replaced(timeout, handle)
        source = type(self).__new__(type(self))
        source._connection = Connection(self._connection.shared, options)
        source._audience = self._audience
        source._last = self._last
        return source

    def stats(self) -> Stats:
        """Return the counters of this source, or of the client that it was made from."""
        handle, value, error = self._connection.handle(), c_void_p(), c_void_p()
        check(lib.camunda_admin_stats(handle.pointer, byref(value), byref(error)), error)
        return decode(take_json(value), "stats", Stats._decode)

    def access_token(self) -> str:
        """Return a valid access token, for the header `Authorization: Bearer TOKEN`.

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
        return text

    def invalidate(self, token: str) -> None:
        """Remove a token that a server rejected (401) from the cache, so that a new one is requested.

        Does nothing if `token` is not the last one that this source returned.
        """
        token = hide(token)
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

    def __enter__(self) -> "TokenSource":
        return self

    def __repr__(self) -> str:
        return "<TokenSource>"


def _token_text(token: NativeHandle) -> str:
    length = c_size_t()
    text = lib.camunda_token_str(token.pointer, byref(length))
    return string_at(text, length.value).decode()
