"""Hand-written methods of the generated classes `ClusterHandle` and `ClusterClients` in `_operations`."""

from __future__ import annotations

from ._allowlist import encode_range
from ._arguments import check_list, check_str, encode_body, encode_path, encode_str
from ._connection import Cancel, Resource
from ._lazy import models, t, types, values
from ._library import lib
from ._native_handle import NamedFile

__all__ = ["ClusterClientsMethods", "ClusterHandleMethods"]


class ClusterHandleMethods(Resource):
    """Hand-written methods of `ClusterHandle`."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The cluster's id."""
        return self._id.decode()

    def add_to_ip_allowlist(
        self,
        ip: types.IpRange,
        description: str = "",
        *,
        timeout: t.Optional[types.Timeout] = None,
        cancel: t.Optional[Cancel] = None,
    ) -> t.List[models.IpAllowlistEntry]:
        """Add an entry to the cluster's IP allowlist, or replace the entry with the same `ip`.

        The API has no such operation: the method reads the list, changes it and writes it back. If two
        callers do so concurrently, the later write wins and the other change is lost.

        Args:
            ip: The CIDR; several are separated by commas.
            description: What the entry is for.
            timeout: Deadline of both requests in seconds, or as a `timedelta`. Default: that of the client.
            cancel: A handle that cancels the call. Default: that of `AdminClient.with_options`.

        Returns:
            The new list.

        Raises:
            CamundaError: reading or writing the list failed.
        """
        return self._calls(timeout, cancel).call_value(
            lib.camunda_cluster_add_to_ip_allowlist,
            "add to IP allowlist",
            _entries,
            self._id,
            encode_range("ip", ip),
            encode_str("description", description),
            is_change=True,
        )

    def remove_from_ip_allowlist(
        self,
        ip: types.IpRange,
        *,
        timeout: t.Optional[types.Timeout] = None,
        cancel: t.Optional[Cancel] = None,
    ) -> t.List[models.IpAllowlistEntry]:
        """Remove the entry with that `ip` from the cluster's IP allowlist.

        Has the race condition of `add_to_ip_allowlist`.

        Args:
            ip: The CIDR of the entry.
            timeout: Deadline of both requests in seconds, or as a `timedelta`. Default: that of the client.
            cancel: A handle that cancels the call. Default: that of `AdminClient.with_options`.

        Returns:
            The new list.

        Raises:
            CamundaError: reading or writing the list failed.
        """
        return self._calls(timeout, cancel).call_value(
            lib.camunda_cluster_remove_from_ip_allowlist,
            "remove from IP allowlist",
            _entries,
            self._id,
            encode_range("ip", ip),
            is_change=True,
        )


class ClusterClientsMethods(Resource):
    """Hand-written methods of `ClusterClients`."""

    __slots__ = ()

    def create_env_file(
        self,
        path: types.StrPath,
        name: str,
        *,
        permissions: t.Optional[t.Iterable[values.ClientPermissionValue]] = None,
        timeout: t.Optional[types.Timeout] = None,
        cancel: t.Optional[Cancel] = None,
    ) -> models.CreatedClusterClient:
        """Create a client and write its credentials to a new file.

        The API returns the secret only once, so the method creates the file first, with mode 0600 and
        its disk space allocated. Then it creates the client, writes the file and flushes it to the
        disk. It also reads the cluster, for its URLs. If no client was created, or the outcome is
        unknown, it removes the file. One deadline covers all steps.

        Args:
            path: The file, which must not exist. `ClusterCredentials.from_env_file` reads it.
            name: The client's name, unique in the cluster.
            permissions: What the client may use. None: everything. An empty list is not accepted.
            timeout: Deadline of all steps in seconds, or as a `timedelta`. Default: that of the client.
            cancel: A handle that cancels the call. Default: that of `AdminClient.with_options`.

        Returns:
            The client with its secret.

        Raises:
            FileError: with the outcome `not_sent` if the file exists or cannot be created; with
                `completed` if it cannot be written after the client was created. The error's `body`
                then has the response with the secret.
            CamundaError: as `create`.
        """
        body: t.Dict[str, t.Any] = {"clientName": check_str("name", name)}
        if permissions is not None:
            body["permissions"] = check_list(
                "permissions", permissions, check_str, "omit the argument for all permissions"
            )
        encoded = encode_path("path", path)
        with NamedFile(path):
            return self._calls(timeout, cancel).call_value(
                lib.camunda_cluster_client_create_env_file,
                "create client",
                models.CreatedClusterClient._of,
                self._id,
                *encode_body(body),
                encoded,
                is_change=True,
            )


def _entries(data: t.Any) -> t.List[models.IpAllowlistEntry]:
    return list(map(models.IpAllowlistEntry._of, data))
