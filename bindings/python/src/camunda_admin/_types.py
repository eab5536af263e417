"""Type aliases of the public API.

The package imports this module when one of them is used, since `typing` is slow to import. Type hints
of other modules name them, and other types that are slow to import, as attributes of `_lazy.types`.
"""

from __future__ import annotations

import os
from datetime import datetime as datetime
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Callable, List, Literal, Tuple, TypedDict, TypeVar, Union
from uuid import UUID

from ._credentials import ClusterCredentials as ClusterCredentials
from ._model_base import Model, OpenEnum
from ._models import IpAllowlistEntry
from ._stats import Stats as Stats
from ._token import Token as Token
from ._token_source import TokenSource as TokenSource
from ._token_store import TokenStore as TokenStore

__all__ = [
    "AllowlistEntry",
    "DoctorCheck",
    "DoctorPermission",
    "DoctorReport",
    "DoctorSetting",
    "Id",
    "Idempotency",
    "IpRange",
    "Method",
    "Number",
    "Outcome",
    "Progress",
    "Settings",
    "Stage",
    "StrPath",
    "Timeout",
    "TokenSettings",
]

_T = TypeVar("_T")
ModelT = TypeVar("ModelT", bound=Model)
OpenEnumT = TypeVar("OpenEnumT", bound=OpenEnum)

#: A number of a response: a `Decimal` if neither `int` nor `float` can represent it exactly.
Number = Union[int, float, Decimal]

#: Whether an operation that failed was executed; see `CamundaError.outcome`.
Outcome = Literal["not_sent", "rejected", "unknown", "completed"]

#: The stage at which a call failed; see `CamundaError.stage`.
Stage = Literal["config", "token", "request", "decode"]

#: An HTTP method.
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

#: Whether a request of `AdminClient.request` is retried. `safe` (it changes nothing) and `idempotent`
#: (executing it twice has the effect of executing it once) requests are retried after transient
#: errors, `non_idempotent` ones only if no byte of the request was sent.
Idempotency = Literal["safe", "idempotent", "non_idempotent"]

#: An id of a resource.
Id = Union[str, UUID]

#: A time span: a number of seconds, or a `timedelta`.
Timeout = Union[float, timedelta]

#: The path of a file.
StrPath = Union[str, os.PathLike[str]]

#: A CIDR, or several separated by commas, or an object of `ipaddress`.
IpRange = Union[str, IPv4Address, IPv4Network, IPv6Address, IPv6Network]

#: An entry of an IP allowlist: an `IpAllowlistEntry`, or a pair of CIDR and description.
AllowlistEntry = Union[IpAllowlistEntry, Tuple[IpRange, str]]

#: How a waiter reports each poll: None or False: not at all. True: on a display. A function: it is
#: called with the resource.
Progress = Union[None, bool, Callable[[_T], object]]


class TokenSettings(TypedDict, total=False):
    """The settings of `TokenSource`: those of `AdminClient` that concern token requests."""

    oauth_url: Union[str, None]
    audience: Union[str, None]
    scope: Union[str, None]
    token_cache: Union[StrPath, TokenStore, None]
    timeout: Union[Timeout, None]
    ca_file: Union[StrPath, None]
    client_cert: Union[StrPath, None]
    client_key: Union[StrPath, None]
    proxy: Union[str, None]
    user_agent: Union[str, None]
    token_request_format: Union[Literal["json", "form"], None]
    max_response_bytes: Union[int, None]


class Settings(TokenSettings, total=False):
    """The settings of `AdminClient`, as keyword arguments of `from_env` and `from_env_file`."""

    client_id: Union[str, None]
    client_secret: Union[str, None]
    client_secret_file: Union[StrPath, None]
    access_token: Union[str, None]
    base_url: Union[str, None]


class DoctorSetting(TypedDict):
    """A setting in a `DoctorReport`.

    Attributes:
        key: Key of the setting, for example `base_url`.
        value: Its value. None for a secret, and for a setting that is not set.
        is_set: Whether it has a value.
        source: Name of the environment variable; `program` for an argument of `doctor`, and `default`.
    """

    key: str
    value: Union[str, None]
    is_set: bool
    source: str


class DoctorCheck(TypedDict):
    """The result of a check in a `DoctorReport`.

    Attributes:
        name: Name of the check: `settings`, `client_certificate`, `dns`, `tcp`, `tls`, `http`, `clock`,
            `token`, `token_store` or `permissions`.
        target: URL of the server, for checks of a server.
        status: `failed` if calls fail, `warning` if they succeed but the environment should be changed,
            `skipped` after an earlier failure.
        message: What the check found.
        advice: What to do about a problem.
        duration_ms: Duration in milliseconds, for the steps of a connection.
    """

    name: str
    target: Union[str, None]
    status: Literal["ok", "warning", "failed", "skipped"]
    message: str
    advice: Union[str, None]
    duration_ms: Union[float, None]


class DoctorPermission(TypedDict):
    """Whether the credentials may read a resource, in a `DoctorReport`.

    Attributes:
        resource: Name of the resource, for example `clusters`.
        access: `denied` for HTTP 403, `failed` after another error.
        detail: The error message, or why no request was sent.
    """

    resource: str
    access: Literal["allowed", "denied", "failed", "not_checked"]
    detail: Union[str, None]


class DoctorReport(TypedDict):
    """The report of `doctor`. Contains no secrets.

    Attributes:
        version: Version of the library.
        ok: Whether no check failed.
        settings: The settings.
        checks: The checks in the order in which they ran.
        permissions: The resources that were read.
    """

    version: str
    ok: bool
    settings: List[DoctorSetting]
    checks: List[DoctorCheck]
    permissions: List[DoctorPermission]


# The name that programs import.
TokenSettings.__module__ = Settings.__module__ = "camunda_admin"
DoctorSetting.__module__ = DoctorCheck.__module__ = "camunda_admin"
DoctorPermission.__module__ = DoctorReport.__module__ = "camunda_admin"
