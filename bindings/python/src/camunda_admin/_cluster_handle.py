"""Hand-written methods of `ClusterHandle` and `ClusterClients`."""

import os
from typing import Any, Dict, Iterable, List, Optional, Union

from . import _models
from ._arguments import check_str, check_str_list, encode_body, encode_path, encode_str
from ._connection import Resource
from ._models import CreatedClusterClient, IpAllowlistEntry
from ._native import lib

__all__ = ["ClusterClientsMethods", "ClusterHandleMethods"]


class ClusterHandleMethods(Resource):
    """Hand-written methods of `ClusterHandle`."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The cluster's id."""
        return self._id.decode()

    def add_to_ip_allowlist(self, ip: str, description: str = "") -> List[IpAllowlistEntry]:
        """Add an entry to the cluster's IP allowlist, or replace the entry with the same `ip`.

        The API has no such operation: the method reads the list, changes it and writes it back. If two
        callers do so concurrently, the later write wins and the other change is lost.

        Args:
            ip: The CIDR; several are separated by commas.
            description: What the entry is for.

        Returns:
            The new list.

        Raises:
            CamundaError: reading or writing the list failed.
        """
        return self._connection.call_value(
            lib.camunda_cluster_add_to_ip_allowlist,
            "add to IP allowlist",
            _entries,
            self._id,
            encode_str("ip", ip),
            encode_str("description", description),
        )

    def remove_from_ip_allowlist(self, ip: str) -> List[IpAllowlistEntry]:
        """Remove the entry with that `ip` from the cluster's IP allowlist.

        Has the race condition of `add_to_ip_allowlist`.

        Args:
            ip: The CIDR of the entry.

        Returns:
            The new list.

        Raises:
            CamundaError: reading or writing the list failed.
        """
        return self._connection.call_value(
            lib.camunda_cluster_remove_from_ip_allowlist,
            "remove from IP allowlist",
            _entries,
            self._id,
            encode_str("ip", ip),
        )


class ClusterClientsMethods(Resource):
    """Hand-written methods of `ClusterClients`."""

    __slots__ = ()

    def create_env_file(
        self,
        path: Union[str, "os.PathLike[str]"],
        name: str,
        *,
        permissions: Optional[Iterable[str]] = None,
    ) -> CreatedClusterClient:
        """Create a client and write its credentials to a new file.

        The API returns the secret only once, so the method creates the file first, with mode 0600 and
        its disk space allocated. Then it creates the client, writes the file and flushes it to the
        disk. It also reads the cluster, for its URLs. If no client was created, or the outcome is
        unknown, it removes the file. One deadline covers all steps.

        Args:
            path: The file, which must not exist. `ClusterCredentials.from_env_file` reads it.
            name: The client's name, unique in the cluster.
            permissions: What the client may use. None: everything. An empty list is not accepted.

        Returns:
            The client with its secret.

        Raises:
            FileError: with the outcome `not_sent` if the file exists or cannot be created; with
                `completed` if it cannot be written after the client was created. The error's `body`
                then has the response with the secret.
            CamundaError: as `create`.
        """
        body: Dict[str, Any] = {"clientName": check_str("name", name)}
        if permissions is not None:
            body["permissions"] = check_str_list("permissions", permissions)
        return self._connection.call_value(
            lib.camunda_cluster_client_create_env_file,
            "create client",
            _models._created_cluster_client,
            self._id,
            *encode_body(body),
            encode_path("path", path),
        )


def _entries(data: Any) -> List[IpAllowlistEntry]:
    return [_models._ip_allowlist_entry(entry) for entry in data]
