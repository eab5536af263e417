"""The settings of `AdminClient` and `TokenSource`, and the creation of clients from them."""

from __future__ import annotations

import os
from ctypes import byref, c_void_p

from . import _callbacks
from ._arguments import check_seconds, encode_str, wrong_type
from ._connection import SharedClient
from ._errors import ArgumentTypeError, ConfigError, InvalidArgumentError
from ._hidden import hide_values
from ._library import lib, shutdown
from ._native_handle import NativeHandle, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Dict, Tuple

__all__ = [
    "KEYS",
    "SECRETS",
    "TOKEN_KEYS",
    "check_settings",
    "configure",
    "connect",
    "describe_client",
    "own_config",
]

#: The settings.
KEYS = (
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
TOKEN_KEYS = tuple(
    key
    for key in KEYS
    if key not in ("client_id", "client_secret", "client_secret_file", "access_token", "base_url")
)


def configure(config: NativeHandle, settings: Mapping[str, Any]) -> None:
    """Set the settings that are not None in a configuration of the C ABI."""
    error = c_void_p()
    for key, value in settings.items():
        if value is None:
            continue
        if key == "token_cache" and not isinstance(value, (str, os.PathLike)):
            # Imported when needed, since creating its classes and callbacks takes time.
            from ._token_store import TokenStore, use_store

            if isinstance(value, TokenStore):
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


def check_settings(settings: Any, known: Tuple[str, ...], caller: str) -> Dict[str, Any]:
    """Wrap the secrets of settings in their own dict; raise `TypeError` for one that does not exist.

    A traceback may show the dict, which is a local variable of the caller. Returns the dict.
    """
    checked: Dict[str, Any] = settings
    hide_values(checked, SECRETS)
    for key in checked:
        if key not in known:
            from difflib import get_close_matches

            similar = [] if key in KEYS else get_close_matches(key, known, 1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            raise TypeError(f"{caller}() got an unexpected keyword argument {key!r}{hint}")
    return checked


SECRETS = ("client_secret", "access_token", "proxy")


def describe_client(settings: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """Return the server and the credentials of a client, for its `repr`."""
    url = settings.get("base_url") or variables.get("CAMUNDA_CONSOLE_BASE_URL") or _DEFAULT_BASE_URL
    replaced = any(map(settings.get, ("client_id", "client_secret", "client_secret_file")))
    token = not replaced and variables.get("CAMUNDA_CONSOLE_ACCESS_TOKEN")
    if settings.get("access_token") or token:
        return f"{url} with an access token"
    client_id = settings.get("client_id") or variables.get("CAMUNDA_CONSOLE_CLIENT_ID")
    return f"{url} as {client_id}" if client_id else f"{url} without credentials"


_DEFAULT_BASE_URL = "https://api.cloud.camunda.io"


def own_config(config: Any) -> NativeHandle:
    """Take ownership of a configuration; calls of its clients are cancelled at interpreter exit."""
    owned, error = NativeHandle(config, lib.camunda_config_free), c_void_p()
    check(lib.camunda_config_set_shutdown(owned.pointer, shutdown, byref(error)), error)
    return owned


def connect(config: NativeHandle, description: str) -> SharedClient:
    """Create a client of the C ABI. `description`: its server and credentials, for `repr`."""
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
