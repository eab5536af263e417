"""What one cluster can do beyond the operations of the API."""

from typing import Any, List

from . import _models
from ._arguments import text_of
from ._connection import Resource
from ._models import IpAllowlistEntry
from ._native import lib

__all__ = ["ClusterHandleMethods"]


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


def _entries(answer: Any) -> List[IpAllowlistEntry]:
    return [_models._ip_allowlist_entry(entry) for entry in answer]
