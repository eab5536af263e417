"""Client for the Camunda 8 Administration API (SaaS): clusters and what belongs to them, with OAuth
tokens that are asked for once per machine.

    from camunda_admin import AdminClient

    with AdminClient.from_env() as admin:
        for cluster in admin.clusters.list():
            print(cluster.name, cluster.status.ready)

Not an official Camunda product.
"""

from ._arguments import AllowlistEntry
from ._model import Answer, Secrets, Word
from ._client import AdminClient, Cancel, Stats, TokenSource
from ._credentials import ClusterCredentials
from ._errors import *
from ._errors import __all__ as _errors_names
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
    "Answer",
    "Cancel",
    "ClusterCredentials",
    "Secrets",
    "Stats",
    "TokenSource",
    "TokenStore",
    "Word",
    "__version__",
]
__all__ += _errors_names
__all__ += _models_names
__all__ += _operations_names
