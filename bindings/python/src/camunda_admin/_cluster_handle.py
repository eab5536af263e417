"""What one cluster and its clients can do beyond the operations of the API."""

import os
from typing import Any, Dict, Iterable, List, Optional, Union

from . import _models
from ._arguments import body_of, path_of, str_of, strings_of, text_of
from ._connection import Resource
from ._models import CreatedClusterClient, IpAllowlistEntry
from ._native import lib

__all__ = ["ClusterClientsMethods", "ClusterHandleMethods"]


class ClusterHandleMethods(Resource):
    """The part of `ClusterHandle` that is written by hand."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The cluster's id."""
        return self._id.decode()

    def add_to_ip_allowlist(self, ip: str, description: str = "") -> List[IpAllowlistEntry]:
        """Adds an entry to the allowlist: reads, changes, writes; answers the list as it is then.

        An entry with the same `ip` is replaced. The service has no operation for this, so two of
        them at once can race: the later write wins, and the other's change is lost.
        """
        return self._connection.ask(
            lib.camunda_cluster_add_to_ip_allowlist,
            "add to IP allowlist",
            _entries,
            self._id,
            text_of("ip", ip),
            text_of("description", description),
        )

    def remove_from_ip_allowlist(self, ip: str) -> List[IpAllowlistEntry]:
        """Removes the entry with that `ip` from the allowlist; answers the list as it is then.

        Races as `add_to_ip_allowlist` does.
        """
        return self._connection.ask(
            lib.camunda_cluster_remove_from_ip_allowlist,
            "remove from IP allowlist",
            _entries,
            self._id,
            text_of("ip", ip),
        )


class ClusterClientsMethods(Resource):
    """The part of `ClusterClients` that is written by hand."""

    __slots__ = ()

    def create_env_file(
        self,
        path: Union[str, "os.PathLike[str]"],
        name: str,
        *,
        permissions: Optional[Iterable[str]] = None,
    ) -> CreatedClusterClient:
        """Create a client, and keep its credentials in a new file.

        The secret is shown only once, so the file comes first: it is created with mode 0600, never
        over another, and takes its room on the disk; then the client is created; then the file is
        filled and flushed. If no client was created, or if that is unknown, the file is removed
        again. The cluster is read as well, for its addresses. One deadline covers all of it.

        - `path`: The file, which must not exist. `ClusterCredentials.from_env_file` reads it.
        - `name`: The client's name, unique in the cluster.
        - `permissions`: What it may use; all of them if None. An empty list is not accepted.

        Raises what `create` raises, and `FileError`: with the outcome `not sent` if the file exists
        or cannot be created, and with `done` if it cannot be filled afterwards. The client exists
        then, and the error's `body` has the response with its secret.
        """
        body: Dict[str, Any] = {"clientName": str_of("name", name)}
        if permissions is not None:
            body["permissions"] = strings_of("permissions", permissions)
        return self._connection.ask(
            lib.camunda_cluster_client_create_env_file,
            "create client",
            _models._created_cluster_client,
            self._id,
            *body_of(body),
            path_of("path", path),
        )


def _entries(answer: Any) -> List[IpAllowlistEntry]:
    return [_models._ip_allowlist_entry(entry) for entry in answer]
