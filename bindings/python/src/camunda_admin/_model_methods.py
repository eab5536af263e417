"""Hand-written methods of the generated types in `_models`, as base classes of these.

The types in `_models` inherit from them, so `_models` is imported here for type hints only.
"""

from __future__ import annotations

from ._hidden import Hidden
from ._lazy import models, t, types
from ._model_base import Model

TYPE_CHECKING = False

__all__ = ["ClusterMethods", "CreatedClusterClientMethods", "IpRangesMethods"]


class ClusterMethods(Model):
    """Methods of `Cluster`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def ipallowlist(self) -> t.Optional[t.Tuple[models.IpAllowlistEntry, ...]]: ...
        @property
        def ipwhitelist(self) -> t.Optional[t.Tuple[models.IpAllowlistEntry, ...]]: ...

    @property
    def allowlist(self) -> t.Optional[t.Tuple[models.IpAllowlistEntry, ...]]:
        """The IP allowlist of the cluster: `ipallowlist`, else `ipwhitelist`.

        None if the credentials lack the permission to read it.
        """
        return self.ipwhitelist if self.ipallowlist is None else self.ipallowlist


class CreatedClusterClientMethods(Model):
    """Methods of `CreatedClusterClient`."""

    __slots__ = ()

    def credentials(self, cluster: models.Cluster) -> types.ClusterCredentials:
        """Return the variables that a program needs to use the cluster as this client.

        To keep them in a file, create the client with `clients.create_env_file` instead: with
        `write_env_file` the secret is lost if the file cannot be written.
        """
        from ._credentials import from_client

        return from_client(Hidden(self.to_dict()), cluster.to_dict())


class IpRangesMethods(Model):
    """Methods of `IpRanges`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def web_modeler(self) -> t.Tuple[str, ...]: ...

    def by_product(self) -> t.Dict[str, t.Tuple[str, ...]]:
        """Return the CIDRs by product, including products that this version does not know."""
        others: t.Dict[str, t.Tuple[t.Any, ...]] = {
            name: tuple(value) for name, value in self.extra.items() if isinstance(value, list)
        }
        return {"web-modeler": self.web_modeler, **others}
