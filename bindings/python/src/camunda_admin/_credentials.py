"""The credentials of a cluster's client: what is in them, and the files that the Console hands out."""

import os
from ctypes import byref, c_void_p
from typing import Any, Dict, Iterator, Mapping, Union

from ._arguments import body_of, path_of
from ._connection import decode
from ._model import Secrets
from ._native_handle import Owned, check, take_text
from ._hidden import Hidden
from ._native import lib

__all__ = ["ClusterCredentials"]


class ClusterCredentials(Mapping[str, str]):
    """The variables of a cluster client's credentials, such as `ZEEBE_ADDRESS`, by name.

    Printing shows the names only.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables: Dict[str, str] = Secrets(variables)

    @classmethod
    def from_env_file(cls, path: Union[str, "os.PathLike[str]"]) -> "ClusterCredentials":
        """Reads a file of `export NAME='value'` or `NAME=value` lines, quotes and comments understood.

        Nothing is expanded: `$` is a dollar sign. Raises `FileError` where the file cannot be read,
        `ConfigError` naming the line that cannot be understood.
        """
        value, error = c_void_p(), c_void_p()
        check(
            lib.camunda_credentials_read(path_of("path", path), byref(value), byref(error)), error
        )
        return cls(decode(take_text(value), "read credentials", dict))

    @classmethod
    def from_env(cls) -> "ClusterCredentials":
        """Read the variables of the Console's credential file from the environment.

        `ZEEBE_CLIENT_ID` and `ZEEBE_CLIENT_SECRET` are required; an empty variable counts as not set.
        Raises `ConfigError` naming the variable that is not set.
        """
        value, error = c_void_p(), c_void_p()
        check(lib.camunda_credentials_from_env(byref(value), byref(error)), error)
        return cls(decode(take_text(value), "read credentials", dict))

    def write_env_file(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Write the variables as `export NAME='value'` lines to a new file with mode 0600.

        Never overwrites: if the path exists, a symbolic link included, nothing is changed and
        `FileError` is raised. Raises `InvalidArgumentError` if a name is not valid or a value has a
        NUL, before the file is created. The file is flushed to the disk. To keep the credentials of
        a client that is yet to be created, use `clients.create_env_file`.
        """
        value, error = parse(Hidden(self._variables)), c_void_p()
        name = path_of("path", path)
        check(lib.camunda_credentials_write(value.pointer, name, byref(error)), error)

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        # Without variables where the constructor failed.
        return f"ClusterCredentials({', '.join(map(repr, getattr(self, '_variables', ())))})"


def parse(data: Any) -> Owned:
    """A value in C of something that JSON can write; secrets come `Hidden`."""
    value, error = c_void_p(), c_void_p()
    check(lib.camunda_value_parse(*body_of(data), byref(value), byref(error)), error)
    return Owned(value.value, lib.camunda_value_free)


def from_client(created: Hidden, cluster: Dict[str, Any]) -> ClusterCredentials:
    """The credentials of a client that was just created, given as a dict."""
    client, at = parse(created), parse(cluster)
    value, error = c_void_p(), c_void_p()
    status = lib.camunda_credentials_from_client(
        client.pointer, at.pointer, byref(value), byref(error)
    )
    check(status, error)
    return ClusterCredentials(decode(take_text(value), "make credentials", dict))
