"""Checks of the environment of a client."""

from __future__ import annotations

from ctypes import byref, c_void_p

from ._arguments import encode_path
from ._connection import UNSET, CallOptions, Cancel, Connection, SharedClient
from ._lazy import t, types
from ._library import lib
from ._native_handle import NamedFile, NativeHandle, check
from ._settings import KEYS, check_settings, configure, own_config

__all__ = ["doctor"]


def doctor(
    *,
    env_file: t.Optional[types.StrPath] = None,
    cancel: t.Optional[Cancel] = None,
    **settings: t.Unpack[types.Settings],
) -> types.DoctorReport:
    """Check settings, network, certificates, clock, token, token store and permissions.

    Sends at most one token request, through the shared cache and its rate limit, unless that fails
    with a transient error or the API rejects the token. Sends only `GET` requests to the API, and to
    each server one request without credentials; changes nothing.

    Blocks for at most 10 s for each of the two servers, plus `timeout` for the token request and for
    each of six reads. The token endpoint delays rejections of invalid credentials by about 30 s.

    Args:
        env_file: Credential file of the Console with the settings. Default: the environment variables of
            `AdminClient.from_env`.
        cancel: A handle that cancels the checks.
        **settings: Settings of `AdminClient`, which replace those of the variables. `timeout` is that of
            the token request and of each read.

    Returns:
        A dict without secrets, with the JSON of `camunda-admin doctor --json`. `ok` is whether no check
        failed; a check that fails raises nothing.

    Raises:
        FileError: `env_file` cannot be read.
        ConfigError: a value of `settings`, or a line of `env_file`, is not valid.
        CancelledError: `cancel` was cancelled.
        TypeError: there is no such setting, or its value is of the wrong type.
    """
    checked = check_settings(settings, KEYS, "doctor")
    options = CallOptions().replaced(UNSET, cancel)
    config = _config(env_file, checked)
    convert: t.Any = dict
    report: types.DoctorReport = Connection(SharedClient(config), options).call_value(
        lib.camunda_doctor, "doctor", convert
    )
    return report


def _config(env_file: t.Optional[types.StrPath], settings: t.Dict[str, t.Any]) -> NativeHandle:
    if env_file is None and not settings:
        return _Environment()
    config, error = own_config(lib.camunda_config_new()), c_void_p()
    if env_file is None:
        check(lib.camunda_config_load_env(config.pointer, byref(error)), error)
    else:
        path = encode_path("env_file", env_file)
        with NamedFile(env_file):
            check(lib.camunda_config_load_env_file(config.pointer, path, byref(error)), error)
    configure(config, settings)
    return config


class _Environment(NativeHandle):
    """NULL, for the settings of the environment."""

    __slots__ = ()

    def __init__(self) -> None:
        self.pointer = None
        self.__del__ = int


# The name that programs import.
doctor.__module__ = "camunda_admin"
