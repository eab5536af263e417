"""Type aliases of the public API.

The package imports this module when one of them is used, since `typing` is slow to import.

The aliases name classes of other modules, and the type hints of these modules name the aliases. So
those modules import this one for type checkers only (`TYPE_CHECKING`); when the package is loaded,
imports have no cycle.
"""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Callable, Literal, Tuple, TypedDict, TypeVar, Union
from uuid import UUID

from ._models import IpAllowlistEntry
from ._token_store import TokenStore

__all__ = [
    "AllowlistEntry",
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
StrPath = Union[str, "os.PathLike[str]"]

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


# The name that programs import.
TokenSettings.__module__ = Settings.__module__ = "camunda_admin"
