"""Credentials of a cluster client: their variables, and the credential files of the Console."""

from __future__ import annotations

from ctypes import byref, c_void_p

from ._arguments import encode_body, encode_path, wrong_type
from ._hidden import Hidden
from ._json import decode
from ._lazy import t, types
from ._library import lib
from ._model_base import Secrets
from ._native_handle import NamedFile, NativeHandle, check, take_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
else:
    # From where `collections.abc`, which is slow to import, has it.
    from _collections_abc import Mapping

__all__ = ["ClusterCredentials", "check_variables", "from_client", "parse"]


class ClusterCredentials(Mapping[str, str]):
    """The credentials of a cluster client: variables such as `ZEEBE_ADDRESS`, by name.

    `repr` and `str` show the names only.

    Args:
        variables: A mapping of names to values.

    Raises:
        ArgumentTypeError: `variables` is not a mapping of strings to strings.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables: t.Dict[str, str] = check_variables("variables", variables, "a dict of names and values")

    @classmethod
    def from_env_file(cls, path: types.StrPath) -> ClusterCredentials:
        """Read a file of POSIX shell assignments: `export NAME='value'` or `NAME=value` lines.

        Quotes and comments are allowed. Nothing is expanded: `$` is a dollar sign.

        Args:
            path: A credential file of the Console, or of `write_env_file`.

        Raises:
            FileError: the file cannot be read.
            ConfigError: a line is not valid; the message has its number.
        """
        value, error = c_void_p(), c_void_p()
        name = encode_path("path", path)
        with NamedFile(path):
            check(lib.camunda_credentials_read(name, byref(value), byref(error)), error)
        return cls(decode(take_json(value), "read credentials", dict))

    @classmethod
    def from_env(cls) -> ClusterCredentials:
        """Read the variables of the Console's credential file from the environment.

        `ZEEBE_CLIENT_ID` and `ZEEBE_CLIENT_SECRET` are required; an empty variable counts as not set.

        Raises:
            ConfigError: a required variable is not set; the message has its name.
        """
        value, error = c_void_p(), c_void_p()
        check(lib.camunda_credentials_from_env(byref(value), byref(error)), error)
        return cls(decode(take_json(value), "read credentials", dict))

    def write_env_file(self, path: types.StrPath) -> None:
        """Write the variables as `export NAME='value'` lines to a new file with mode 0600.

        The file is flushed to the disk. For a client that does not exist yet, use
        `clients.create_env_file`, which creates the file before the client.

        Args:
            path: The file. It must not exist, not even as a symbolic link.

        Raises:
            FileError: the file exists or cannot be written.
            InvalidArgumentError: a name is not valid or a value has a NUL; no file is created.
        """
        name, error = encode_path("path", path), c_void_p()
        value = parse(Hidden(self._variables))
        with NamedFile(path):
            check(lib.camunda_credentials_write(value.pointer, name, byref(error)), error)

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        # The attribute is absent if the constructor failed.
        return f"ClusterCredentials({', '.join(map(repr, getattr(self, '_variables', ())))})"


def check_variables(name: str, variables: t.Any, expected: str) -> Secrets:
    """Return a mapping of strings to strings as a dict whose `repr` shows no values.

    `name` and `expected` are the argument and what it is, for the message of an exception.
    """
    if not isinstance(variables, Mapping):
        raise wrong_type(name, variables, expected)
    # Before any call that can fail, since a traceback may show local variables.
    variables = hidden = Secrets(variables)
    for variable, value in hidden.items():
        if not isinstance(variable, str):
            raise wrong_type(name, variable, "a str for each name")
        if not isinstance(value, str):
            raise wrong_type(f"{name}[{variable!r}]", value, "a str")
    return hidden


def parse(data: t.Any) -> NativeHandle:
    """Return a JSON-serializable object as a value of the C ABI. Secrets are passed as `Hidden`."""
    value, error = c_void_p(), c_void_p()
    check(lib.camunda_value_parse(*encode_body(data), byref(value), byref(error)), error)
    return NativeHandle(value.value, lib.camunda_value_free)


def from_client(created: Hidden, cluster: t.Dict[str, t.Any]) -> ClusterCredentials:
    """Return the credentials of a client that was just created. Both arguments are JSON objects."""
    client, target = parse(created), parse(cluster)
    value, error = c_void_p(), c_void_p()
    status = lib.camunda_credentials_from_client(
        client.pointer, target.pointer, byref(value), byref(error)
    )
    check(status, error)
    return ClusterCredentials(decode(take_json(value), "make credentials", dict))


# The name that programs import.
ClusterCredentials.__module__ = "camunda_admin"
