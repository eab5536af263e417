"""Methods of generated classes that are written by hand."""

from typing import TYPE_CHECKING, Dict, List, Optional

from ._model import Answer

if TYPE_CHECKING:
    from ._credentials import ClusterCredentials
    from ._models import Cluster, IpAllowlistEntry

__all__ = ["ClusterMethods", "CreatedClusterClientMethods", "IpRangesMethods"]


class ClusterMethods(Answer):
    """What a cluster can do."""

    if TYPE_CHECKING:
        ipallowlist: Optional[List[IpAllowlistEntry]]
        ipwhitelist: Optional[List[IpAllowlistEntry]]

    @property
    def allowlist(self) -> "Optional[List[IpAllowlistEntry]]":
        """The addresses that may reach the cluster: `ipallowlist`, else `ipwhitelist`.

        `None` without the permission to see them.
        """
        return self.ipwhitelist if self.ipallowlist is None else self.ipallowlist


class CreatedClusterClientMethods(Answer):
    """What a client just created can do."""

    def credentials(self, cluster: "Cluster") -> "ClusterCredentials":
        """Return everything a program needs to use the cluster as this client.

        To keep it in a file, create the client with `clients.create_env_file` instead: with
        `write_env_file` the secret is lost if the file cannot be written.
        """
        from ._credentials import from_client
        from ._hidden import Hidden

        return from_client(Hidden(self.to_dict()), cluster.to_dict())


class IpRangesMethods(Answer):
    """What the ranges of addresses can do."""

    if TYPE_CHECKING:
        web_modeler: List[str]

    def by_product(self) -> Dict[str, List[str]]:
        """All products with their CIDRs, those that this version does not know included."""
        others = {name: value for name, value in self.extra.items() if isinstance(value, list)}
        return {"web-modeler": self.web_modeler, **others}
