"""The client, and what it is made of: settings, options, tokens."""

import os
from ctypes import byref, c_size_t, c_void_p, string_at
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Mapping, Optional, TypeVar, Union

from . import _callbacks, _prototypes
from ._arguments import body_of, number_of, path_of, text_of
from ._model import Answer
from ._connection import Connection, Options, Shared, decode, resource_id
from ._credentials import ClusterCredentials, parse
from ._errors import ArgumentTypeError, InvalidArgumentError
from ._native_handle import Handle, Owned, check, take_text
from ._hidden import Hidden, expose, hide
from ._native import lib, shutdown
from ._operations import Activity, AdminOperations, ClusterHandle, Clusters, Members
from ._token_store import TokenStore, use_store

__all__ = ["AdminClient", "Cancel", "Stats", "TokenSource"]


T = TypeVar("T")


class Cancel:
    """Stops calls from another thread or from a signal handler; see `AdminClient.with_options`."""

    __slots__ = ("_handle",)

    def __init__(self) -> None:
        self._handle = Owned(lib.camunda_cancel_new(), lib.camunda_cancel_free)

    def cancel(self) -> None:
        """Ends every call that was given this object, and those to come until `reset`.

        Calls under way end within 100 ms, with `CancelledError`.
        """
        lib.camunda_cancel_trigger(self._handle.pointer)

    @property
    def is_cancelled(self) -> bool:
        """Whether it is cancelled."""
        return bool(lib.camunda_cancel_is_triggered(self._handle.pointer))

    def reset(self) -> None:
        """Makes it usable for new calls.

        Calls that were in progress at the time of `cancel` stay cancelled.
        """
        lib.camunda_cancel_reset(self._handle.pointer)

    def __repr__(self) -> str:
        if getattr(self, "_handle", None) is None:  # the constructor failed
            return "<Cancel>"
        return f"<Cancel, {'' if self.is_cancelled else 'not '}cancelled>"


@dataclass(frozen=True)
class Stats(Answer):
    """What a client did so far."""

    # Operations called.
    calls: int = 0
    # API requests sent, repeated ones included.
    requests: int = 0
    # API requests sent again after a passing failure.
    retries: int = 0
    # Token requests sent by this client.
    token_requests: int = 0
    # Tokens taken from the cache.
    token_cache_hits: int = 0
    # Bytes sent over API connections, TLS included.
    bytes_sent: int = 0
    # Bytes received over API connections, TLS included.
    bytes_received: int = 0
    # Counters of a newer library.
    extra: Dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def _decode(data: Optional[Dict[str, Any]]) -> "Stats":
        data = data or {}
        known = {name: data.pop(name) for name in _COUNTERS if name in data}
        return Stats(**known, extra=data)

    def to_dict(self) -> Dict[str, Any]:
        """All counters by name."""
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


def _configure(config: Owned, settings: Mapping[str, Any]) -> None:
    error = c_void_p()
    for key, value in settings.items():
        if value is None:
            continue
        if key == "token_cache" and isinstance(value, TokenStore):
            use_store(config.pointer, value)
            continue
        text = text_of(key, _setting(key, value))
        check(lib.camunda_config_set(config.pointer, key.encode(), text, byref(error)), error)


def _setting(key: str, value: Any) -> str:
    if key == "timeout":
        return repr(number_of(key, value))
    if key == "max_response_bytes":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(f"{key} is a {type(value).__name__}, not an int")
        return str(value)
    if isinstance(value, os.PathLike) and key == "token_cache":
        # Path("tokens") has no separator, but names a directory all the same.
        return os.path.abspath(os.path.expanduser(str(os.fspath(value))))
    if isinstance(value, os.PathLike) and key in ("ca_file", "client_cert", "client_key"):
        return str(os.fspath(value))
    if isinstance(value, str):
        return value
    raise ArgumentTypeError(f"{key} is a {type(expose(value)).__name__}, not a str")


def _own(config: Any) -> Owned:
    """Owns settings, whose clients stop with the interpreter."""
    owned, error = Owned(config, lib.camunda_config_free), c_void_p()
    check(lib.camunda_config_set_shutdown(owned.pointer, shutdown, byref(error)), error)
    return owned


def _connect(config: Owned) -> Shared:
    admin, error = c_void_p(), c_void_p()
    level = _callbacks.log_level()
    if level is not None:
        status = lib.camunda_config_set_log(
            config.pointer, level, _callbacks.log, None, byref(error)
        )
        check(status, error)
    check(lib.camunda_admin_new(config.pointer, byref(admin), byref(error)), error)
    return Shared(Owned(admin.value, lib.camunda_admin_free), level is not None)


# ---- The client -------------------------------------------------------------------------------

#: What `AdminClient.request` may be told about sending a request again.
_CLASSES = {
    None: _prototypes.CAMUNDA_IDEMPOTENCY_BY_METHOD,
    "safe": _prototypes.CAMUNDA_IDEMPOTENCY_SAFE,
    "idempotent": _prototypes.CAMUNDA_IDEMPOTENCY_IDEMPOTENT,
    "non_idempotent": _prototypes.CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT,
}


class AdminClient(AdminOperations, Handle):
    """A connection to the Administration API.

    To be shared between threads; it holds connections, and it shares its token with everything else
    in the process and, through files, with the other processes of the user. Nothing is sent before
    the first call. Calls block; the interpreter's lock is free meanwhile, and Ctrl-C ends them. When
    the interpreter exits, calls that are still in progress on daemon threads are cancelled: they raise
    `SystemExit`, which ends their thread without a message.

    Every setting that is not given has its default:

    - `client_id`, `client_secret`: the credentials. Without them, only `ip_ranges` can be called.
    - `base_url`: `https://api.cloud.camunda.io`
    - `oauth_url`: the token endpoint, `https://login.cloud.camunda.io/oauth/token`
    - `audience`: `api.cloud.camunda.io`
    - `scope`: none
    - `token_cache`: `auto` (files in the user's cache directory), `memory`, a directory (a path
      object, or a string with a separator or beginning with `.` or `~`), a `redis://`, `rediss://`,
      `valkey://` or `valkeys://` URL where the library was built for it, or a `TokenStore`
    - `timeout`: seconds for a whole call, waiting for a token and retries included; 60
    - `ca_file`: a PEM file of certificate authorities to trust instead of the platform's
    - `client_cert`, `client_key`: PEM files of a client certificate and its unencrypted key
    - `proxy`: an http:// address; else that of the environment
    - `user_agent`: `camunda-admin/VERSION`
    - `token_request_format`: `json`, or `form` for other OAuth servers
    - `max_response_bytes`: the largest answer that is read; 64 MiB

    Raises `ConfigError`, naming the setting that cannot be used.

    Events are logged under the logger `camunda_admin`, as far as its level and handlers allow when
    the client is made: configure logging before. Where nothing is configured, nothing is logged, and
    no call pays for it.
    """

    __slots__ = ("clusters", "members", "activity")

    def __init__(
        self,
        *,
        client_id: Optional[str] = None,
        client_secret: Optional[str] = None,
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
        # Before anything can fail: a proxy and a store may have a password in their addresses.
        client_secret, proxy = hide(client_secret), hide(proxy)
        token_cache = hide(token_cache) if isinstance(token_cache, str) else token_cache
        settings = dict(locals())
        config = _own(lib.camunda_config_new())
        _configure(config, {key: settings[key] for key in _KEYS})
        self._use(Connection(_connect(config), Options()))

    @classmethod
    def from_env(cls) -> "AdminClient":
        """A client with the settings of the environment variables that Camunda's own SDKs read.

        `CAMUNDA_CONSOLE_CLIENT_ID` and `CAMUNDA_CONSOLE_CLIENT_SECRET` have to be there;
        `CAMUNDA_CONSOLE_BASE_URL`, `CAMUNDA_CONSOLE_OAUTH_AUDIENCE`, `CAMUNDA_OAUTH_URL`,
        `CAMUNDA_TOKEN_SCOPE`, `CAMUNDA_TOKEN_CACHE_DIR`, `CAMUNDA_TOKEN_DISK_CACHE_DISABLE`,
        `CAMUNDA_TOKEN_CACHE_REDIS_URL`, `CAMUNDA_CUSTOM_ROOT_CERT_PATH`,
        `CAMUNDA_CUSTOM_CERT_CHAIN_PATH`, `CAMUNDA_CUSTOM_PRIVATE_KEY_PATH` and
        `CAMUNDA_CUSTOM_USER_AGENT_STRING` may be. Raises `ConfigError`, naming the variable.
        """
        config, error = c_void_p(), c_void_p()
        check(lib.camunda_config_from_env(byref(config), byref(error)), error)
        return cls._of(_own(config.value))

    @classmethod
    def from_env_file(cls, path: Union[str, "os.PathLike[str]"]) -> "AdminClient":
        """A client with the settings of a file that the Console handed out.

        It has `export NAME='value'` or `NAME=value` lines with the variables of `from_env`; the
        environment is not read. Raises `FileError` where the file cannot be read, `ConfigError`
        naming the line or the variable.
        """
        config, error = c_void_p(), c_void_p()
        status = lib.camunda_config_from_env_file(
            path_of("path", path), byref(config), byref(error)
        )
        check(status, error)
        return cls._of(_own(config.value))

    @classmethod
    def _of(cls, config: Owned) -> "AdminClient":
        admin = cls.__new__(cls)
        admin._use(Connection(_connect(config), Options()))
        return admin

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._id = b""
        #: The clusters of the organisation.
        self.clusters = Clusters(connection)
        #: The members of the organisation.
        self.members = Members(connection)
        #: The organisation's audit log.
        self.activity = Activity(connection)

    def cluster(self, cluster_id: str) -> ClusterHandle:
        """One cluster. Nothing is sent by this alone."""
        return ClusterHandle(self._connection, resource_id(cluster_id))

    def with_options(
        self, *, timeout: Optional[float] = None, cancel: Optional[Cancel] = None
    ) -> "AdminClient":
        """The same client with options for the calls made through it.

        `timeout` is the deadline of a whole call in seconds, and that of a whole wait. `cancel` ends
        calls early. An option that is not given, or `None`, keeps the value that this client has; to
        remove an option, start from a client without it. Closing one of them closes both.
        """
        before = self._connection.options
        options = Options(
            before.timeout if timeout is None else number_of("timeout", timeout),
            before.cancel if cancel is None else cancel._handle,
        )
        admin = type(self).__new__(type(self))
        admin._use(Connection(self._connection.shared, options))
        return admin

    def token(self, audience: Optional[str] = None) -> str:
        """A token of this client's credentials for an audience; this API's own unless given.

        Comes from the same cache as the tokens of the calls, so it costs a token request only where
        no process of the machine has one.
        """
        return self.token_source(audience).access_token()

    def token_source(self, audience: Optional[str] = None) -> "TokenSource":
        """Tokens of this client's credentials for an audience, for use again and again."""
        source = TokenSource.__new__(TokenSource)
        source._connection = self._connection
        source._audience = None if audience is None else text_of("audience", audience)
        source._last = None
        return source

    def request(
        self, method: str, path: str, body: Any = None, idempotency: Optional[str] = None
    ) -> Any:
        """Reaches operations that are newer than this library, under the same token.

        `path` is one such as `/clusters?new=1`; `body` and the answer are what `json` makes of JSON,
        and `None` where there is none. `idempotency` says whether the request may be sent again:
        `safe` (it changes nothing) and `idempotent` (doing it twice is doing it once) are, after
        passing failures; `non_idempotent` is not. Unless given, GET is `safe` and everything else `non_idempotent`.
        """
        body = None if body is None else Hidden(body)
        number = _CLASSES.get(idempotency)
        if number is None:
            raise InvalidArgumentError("idempotency is none of 'safe', 'repeatable', 'once'")
        return self._connection.ask(
            lib.camunda_request,
            "request",
            _as_it_is,
            number,
            text_of("method", method),
            text_of("path", path),
            *((None, 0) if body is None else body_of(body)),
        )

    def stats(self) -> Stats:
        """What this client and those made of it by `with_options` did so far."""
        return self._look(lib.camunda_admin_stats, "stats", Stats._decode)

    def diagnostics(self) -> Dict[str, Any]:
        """The state of tokens, gates and stores, as a dict without secrets."""
        return self._look(lib.camunda_admin_diagnostics, "diagnostics", dict)

    def clear_auth_failure(self) -> None:
        """Forgets that the token endpoint refused these credentials, so that the next call asks again
        instead of failing fast: for use after they were mended on the service's side.
        """
        handle, error = self._connection.handle(), c_void_p()
        check(lib.camunda_admin_clear_auth_failure(handle.pointer, byref(error)), error)

    def invalidate_tokens(self) -> None:
        """Forgets this client's token, here and in the shared store, so that the next call asks for
        another.
        """
        handle, error = self._connection.handle(), c_void_p()
        check(lib.camunda_admin_invalidate_tokens(handle.pointer, byref(error)), error)

    def close(self) -> None:
        """Closes the connections. Calls under way are finished first; further calls fail."""
        self._connection.shared.handle = None

    def _look(self, function: Any, operation: str, make: Callable[[Any], T]) -> T:
        handle, value, error = self._connection.handle(), c_void_p(), c_void_p()
        check(function(handle.pointer, byref(value), byref(error)), error)
        return decode(take_text(value), operation, make)

    def __enter__(self) -> "AdminClient":
        return self

    def __repr__(self) -> str:
        connection = getattr(self, "_connection", None)
        if connection is None:  # the constructor failed
            return "<AdminClient, not connected>"
        return f"<AdminClient{', closed' if connection.shared.handle is None else ''}>"


_KEYS = (
    "client_id",
    "client_secret",
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


def _as_it_is(answer: Any) -> Any:
    return answer


# ---- Tokens -----------------------------------------------------------------------------------


class TokenSource(Handle):
    """Tokens for any credentials, through the same cache as the client's own.

    Made of a cluster client's credentials it gives the tokens for Zeebe and the other components:
    `TokenSource(ClusterCredentials.from_env_file("worker.env")).access_token()`. Settings are those of
    `AdminClient` that credentials have nothing to say about: `token_cache`, `ca_file`, `proxy`, ….
    """

    __slots__ = ("_connection", "_audience", "_last")

    _connection: Connection
    _audience: Optional[bytes]
    _last: Optional[Owned]

    def __init__(self, credentials: Mapping[str, str], **settings: Any) -> None:
        # Before anything can fail, since a traceback may show local variables.
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
        owned = _own(config.value)
        _configure(owned, settings)
        self._connection = Connection(_connect(owned), Options())
        self._audience = None
        self._last = None

    def with_options(
        self, *, timeout: Optional[float] = None, cancel: Optional[Cancel] = None
    ) -> "TokenSource":
        """Return the same source with options for the calls made through it.

        `timeout` is the deadline of `bearer` in seconds, `cancel` ends it early. An option that is not
        given, or `None`, keeps its value. Closing one of them closes both.
        """
        before = self._connection.options
        options = Options(
            before.timeout if timeout is None else number_of("timeout", timeout),
            before.cancel if cancel is None else cancel._handle,
        )
        source = type(self).__new__(type(self))
        source._connection = Connection(self._connection.shared, options)
        source._audience = self._audience
        source._last = self._last
        return source

    def stats(self) -> Stats:
        """Return the counters of this source, or of the client that it was made of."""
        handle, value, error = self._connection.handle(), c_void_p(), c_void_p()
        check(lib.camunda_admin_stats(handle.pointer, byref(value), byref(error)), error)
        return decode(take_text(value), "stats", Stats._decode)

    def access_token(self) -> str:
        """A token that lives: what follows `Bearer` in the header `Authorization`."""
        value = c_void_p()
        try:
            self._connection.tell(
                lib.camunda_admin_token, "token", self._audience, byref(value)
            )
        except BaseException:
            lib.camunda_token_free(value)
            raise
        token = Owned(value.value, lib.camunda_token_free)
        text = _token_text(token)
        self._last = token
        return text

    def reject(self, token: str) -> None:
        """Says that a service refused this token (401), so that the next one is a new one.

        Only the token given last is known; of an older one nothing is to be done.
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
        """Closes the source. One of an `AdminClient` is closed with it, and not before."""
        self._last = None

    def __enter__(self) -> "TokenSource":
        return self

    def __repr__(self) -> str:
        return "<TokenSource>"


def _token_text(token: Owned) -> str:
    length = c_size_t()
    text = lib.camunda_token_str(token.pointer, byref(length))
    return string_at(text, length.value).decode()
