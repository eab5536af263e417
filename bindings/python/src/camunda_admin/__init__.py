"""Blocking client for the Camunda 8 Administration API (SaaS).

Manages clusters, their clients, backups and secrets, and members. OAuth tokens are cached, and shared
by the processes of a user.

    from camunda_admin import AdminClient

    with AdminClient.from_env() as admin:
        for cluster in admin.clusters.list():
            print(cluster.name, cluster.status.ready)

Not an official Camunda product.
"""

from ._allowlist import AllowlistEntry
from ._client import AdminClient, Cancel, Idempotency, Stats, TokenSource
from ._credentials import ClusterCredentials
from ._errors import *
from ._errors import Outcome
from ._errors import __all__ as _errors_names
from ._model import Model, OpenEnum, Secrets
from ._models import *
from ._models import __all__ as _models_names
from ._native import version
from ._operations import *
from ._operations import __all__ as _operations_names
from ._token_store import TokenStore

__version__ = version()

__all__ = [
    "AdminClient",
    "AllowlistEntry",
    "Cancel",
    "ClusterCredentials",
    "Idempotency",
    "Model",
    "OpenEnum",
    "Outcome",
    "Secrets",
    "Stats",
    "TokenSource",
    "TokenStore",
    "__version__",
]
__all__ += _errors_names
__all__ += _models_names
__all__ += _operations_names
