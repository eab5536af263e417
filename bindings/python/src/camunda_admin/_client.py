"""The client `AdminClient`, and its call options."""

from __future__ import annotations

import os
from ctypes import byref, c_void_p

from . import _prototypes
from ._arguments import describe, encode_body, encode_path, encode_str, invalid
from ._connection import UNSET, CallOptions, Cancel, Connection, encode_cluster_id
from ._errors import ConfigError
from ._hidden import Hidden, hide
from ._json import decode
from ._lazy import t, types
from ._library import lib
from ._native_handle import Closeable, NamedFile, NativeHandle, check, like, name_file, take_json
from ._operations import Activity, AdminOperations, ClusterHandle, Clusters, Members
from ._settings import KEYS, SECRETS, check_settings, configure, connect, describe_client, own_config

# Without the annotation, the completion of IPython (jedi) ignores the branch.
TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    T = t.TypeVar("T")
    AdminClientT = t.TypeVar("AdminClientT", bound="AdminClient")

__all__ = ["AdminClient"]

_IDEMPOTENCY: t.Dict[t.Optional[types.Idempotency], int] = {
    None: _prototypes.CAMUNDA_IDEMPOTENCY_BY_METHOD,
    "safe": _prototypes.CAMUNDA_IDEMPOTENCY_SAFE,
    "idempotent": _prototypes.CAMUNDA_IDEMPOTENCY_IDEMPOTENT,
    "non_idempotent": _prototypes.CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT,
}


class _Loaded:
    """What `from_env` and `from_env_file` have read, for `AdminClient.__init__`."""

    __slots__ = ("config", "variables")

    def __init__(self, config: NativeHandle, variables: t.Mapping[str, str]) -> None:
        self.config = config
        self.variables = variables


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

    __slots__ = ("clusters", "members", "activity", "_owns", "_loaded")

    clusters: Clusters
    """Operations on the clusters of the organization."""
    members: Members
    """Operations on the members of the organization."""
    activity: Activity
    """Operations on the audit log of the organization."""

    if TYPE_CHECKING:
        #: What `from_env` or `from_env_file` has read, until `__init__` uses it.
        _loaded: _Loaded

    def __init__(
        self,
        *,
        client_id: t.Optional[str] = None,
        client_secret: t.Optional[str] = None,
        client_secret_file: t.Optional[types.StrPath] = None,
        access_token: t.Optional[str] = None,
        base_url: t.Optional[str] = None,
        oauth_url: t.Optional[str] = None,
        audience: t.Optional[str] = None,
        scope: t.Optional[str] = None,
        token_cache: t.Union[types.StrPath, types.TokenStore, None] = None,
        timeout: t.Optional[types.Timeout] = None,
        ca_file: t.Optional[types.StrPath] = None,
        client_cert: t.Optional[types.StrPath] = None,
        client_key: t.Optional[types.StrPath] = None,
        proxy: t.Optional[str] = None,
        user_agent: t.Optional[str] = None,
        token_request_format: t.Optional[t.Literal["json", "form"]] = None,
        max_response_bytes: t.Optional[int] = None,
    ) -> None:
        # Before any call that can fail: the URL of a proxy or a store may contain a password.
        client_secret, proxy = hide(client_secret), hide(proxy)
        access_token = hide(access_token)
        token_cache = hide(token_cache) if isinstance(token_cache, str) else token_cache
        settings = {key: value for key, value in locals().items() if key in KEYS}
        loaded: t.Optional[_Loaded] = getattr(self, "_loaded", None)
        if loaded is None:
            loaded = _Loaded(own_config(lib.camunda_config_new()), {})
        else:
            del self._loaded
        configure(loaded.config, settings)
        description = describe_client(settings, loaded.variables)
        self._use(Connection(connect(loaded.config, description), CallOptions()), True)

    @classmethod
    def from_env(
        cls: t.Type[AdminClientT], **settings: t.Unpack[types.Settings]
    ) -> AdminClientT:
        """Create a client from the environment variables of Camunda's SDKs.

        A setting that is given replaces its variable, which then need be neither set nor valid.

        Required: `CAMUNDA_CONSOLE_CLIENT_ID`, and `CAMUNDA_CONSOLE_CLIENT_SECRET` or
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
                secret also replaces the access token of a variable. For a subclass, the arguments of its
                `__init__`; the settings that it passes to that of `AdminClient` replace the variables.

        Raises:
            ConfigError: a variable is not set or not valid; the message has its name.
            TypeError: there is no such setting, or its value is of the wrong type.
        """
        checked = cls._check_arguments(settings, "from_env")
        config, error = own_config(lib.camunda_config_new()), c_void_p()
        check(lib.camunda_config_load_env(config.pointer, byref(error)), error)
        return cls._create(_Loaded(config, os.environ), checked)

    @classmethod
    def from_env_file(
        cls: t.Type[AdminClientT], path: types.StrPath, **settings: t.Unpack[types.Settings]
    ) -> AdminClientT:
        """Create a client from a credential file of the Console. Ignores the environment.

        Args:
            path: A file of `export NAME='value'` or `NAME=value` lines with the variables of
                `from_env`.
            **settings: Settings of `AdminClient`, which replace those of the file, as in `from_env`.

        Raises:
            FileError: the file cannot be read.
            ConfigError: a line is not valid, or a variable is missing or not valid.
            TypeError: there is no such setting, or its value is of the wrong type.
        """
        checked = cls._check_arguments(settings, "from_env_file")
        config, error = own_config(lib.camunda_config_new()), c_void_p()
        encoded = encode_path("path", path)
        with NamedFile(path):
            status = lib.camunda_config_load_env_file(config.pointer, encoded, byref(error))
            check(status, error)
        from ._credentials import ClusterCredentials

        variables = ClusterCredentials.from_env_file(path)
        try:
            return cls._create(_Loaded(config, variables), checked)
        except ConfigError as failure:
            name_file(failure, path)
            raise

    @classmethod
    def _check_arguments(cls, settings: t.Any, method: str) -> t.Dict[str, t.Any]:
        """Wrap the secrets of settings in their own dict; check the settings of `AdminClient` itself."""
        if cls.__init__ is AdminClient.__init__:
            return check_settings(settings, KEYS, f"AdminClient.{method}")
        # The `__init__` of a subclass checks its arguments, which may have other names.
        hidden: t.Dict[str, t.Any] = settings
        for name, value in hidden.items():
            if name in SECRETS or (name == "token_cache" and isinstance(value, str)):
                hidden[name] = hide(value)
        return hidden

    @classmethod
    def _create(
        cls: t.Type[AdminClientT], loaded: _Loaded, settings: t.Dict[str, t.Any]
    ) -> AdminClientT:
        """Create a client as a call of the class does, with a configuration that has the variables."""
        admin = cls.__new__(cls, **settings)
        admin._loaded = loaded
        admin.__init__(**settings)  # type: ignore[misc]
        return admin

    def _use(self, connection: Connection, owns: bool) -> None:
        self._connection = connection
        #: Whether closing this object closes the connections of all objects made from it.
        self._owns = owns
        self._id = b""
        self.clusters = Clusters(connection)
        self.members = Members(connection)
        self.activity = Activity(connection)

    def cluster(self, cluster_id: types.Id) -> ClusterHandle:
        """Return a handle for the operations on one cluster. Sends no request.

        Args:
            cluster_id: The cluster's id: a `str` or a `uuid.UUID`.

        Raises:
            InvalidArgumentError: the id is empty or has a `.` or `..` path segment.
        """
        return ClusterHandle(self._connection, encode_cluster_id(cluster_id))

    def with_options(
        self: AdminClientT,
        *,
        timeout: t.Optional[types.Timeout] = UNSET,
        cancel: t.Optional[Cancel] = UNSET,
    ) -> AdminClientT:
        """Return the same client with options for the calls made through it.

        Both share the connections. Closing the returned client, also by a `with` block, ends its own
        calls only; closing the client that was created first closes the connections of both.

        An object of a subclass is copied with its attributes, without a call of `__init__`. A handle in
        one of them, for example of a `functools.cached_property`, keeps the options of this client.

        Args:
            timeout: Deadline of a call, and of a wait, in seconds or as a `timedelta`. None: that of the
                settings. Default: unchanged.
            cancel: A handle that cancels the calls. None: none. Default: unchanged.
        """
        connection = self._connection.replaced(timeout, cancel)
        admin = like(self)
        admin._use(connection, False)
        return admin

    def __copy__(self: AdminClientT) -> AdminClientT:
        return self.with_options()

    def token(self, audience: t.Optional[str] = None) -> types.Token:
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

    def token_source(self, audience: t.Optional[str] = None) -> types.TokenSource:
        """Return a source of access tokens of this client's credentials.

        Args:
            audience: OAuth audience. Default: that of this client.
        """
        from ._token_source import source_of

        return source_of(self._connection, audience)

    def request(
        self,
        method: types.Method,
        path: str,
        body: t.Any = None,
        idempotency: t.Optional[types.Idempotency] = None,
        *,
        timeout: t.Optional[types.Timeout] = None,
        cancel: t.Optional[Cancel] = None,
    ) -> t.Any:
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
            is_change=idempotency != "safe" and not (idempotency is None and method == "GET"),
        )

    def stats(self) -> types.Stats:
        """Return the counters of this client and of those made from it with `with_options`."""
        from ._stats import Stats

        return self._query(lib.camunda_admin_stats, "stats", Stats._of)

    def diagnostics(self) -> t.Dict[str, t.Any]:
        """Return the state of cached tokens, rate limiters and token stores, without secrets."""
        return self._query(lib.camunda_admin_diagnostics, "diagnostics", dict)

    def clear_auth_failure(self) -> None:
        """Clear the stored authentication failure of this client's credentials.

        Call it after the credentials were fixed in the Console: the next call then sends a token
        request. Without it, calls fail with `AuthenticationError` and send nothing until
        `CamundaError.retry_after` has elapsed. The same applies if the token endpoint rejected the
        request for another reason (`ConfigError`). The failure is cleared in memory and in the token store.
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

    def _query(self, function: t.Any, operation: str, convert: t.Callable[[t.Any], T]) -> T:
        handle, value, error = self._connection.handle(), c_void_p(), c_void_p()
        check(function(handle.pointer, byref(value), byref(error)), error)
        return decode(take_json(value), operation, convert)

    def __enter__(self: AdminClientT) -> AdminClientT:
        return self

    def __repr__(self) -> str:
        connection = getattr(self, "_connection", None)
        if connection is None:  # if the constructor failed
            return "<AdminClient, not connected>"
        shared = connection.shared
        return f"<AdminClient {shared.description}{', closed' if shared.handle is None else ''}>"


if not TYPE_CHECKING:
    # What `typing.get_type_hints` returns: creating the variable would import `typing`.
    AdminClientT = AdminClient

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _encode_request_path(path: str) -> bytes:
    encoded = encode_str("path", path)
    if not encoded.startswith(b"/"):
        raise invalid("path", f"{describe(path)} given", "a path that begins with `/`")
    return encoded


def _unchanged(response: t.Any) -> t.Any:
    return response
