"""IP allowlist arguments: conversion to the entries of a request body."""

from __future__ import annotations

import sys

from ._arguments import check_list, check_str, empty, encode_str, invalid, wrong_type
from ._lazy import models

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List

    from ._types import AllowlistEntry

__all__ = ["check_allowlist", "encode_range"]


def check_allowlist(name: str, values: Iterable[AllowlistEntry]) -> List[Dict[str, Any]]:
    """Return the entries of an IP allowlist as dicts for a request body."""
    expected = 'a list of entries such as ("10.0.0.0/8", "office")'
    return check_list(name, values, _entry, expected=expected)


def _entry(name: str, value: Any) -> Dict[str, Any]:
    if isinstance(value, models.IpAllowlistEntry):
        # Fields that only a response has (`extra`) are not part of the request.
        return {"ip": value.ip, "description": value.description}
    expected = "a pair of CIDR and description, or an IpAllowlistEntry"
    if not isinstance(value, (tuple, list)):
        raise wrong_type(name, value, expected)
    if len(value) != 2:
        raise invalid(name, f"{len(value)} values given", expected)
    return {
        "ip": _range(f"{name}[0]", value[0]),
        "description": check_str(f"{name}[1]", value[1]),
    }


def _range(name: str, value: Any) -> str:
    # An instance exists only if the program has imported the module.
    ipaddress = sys.modules.get("ipaddress")
    if ipaddress is not None and isinstance(
        value,
        (
            ipaddress.IPv4Network,
            ipaddress.IPv6Network,
            ipaddress.IPv4Address,
            ipaddress.IPv6Address,
        ),
    ):
        return str(value)
    if not isinstance(value, str):
        raise wrong_type(name, value, "a CIDR: a str, or an object of ipaddress")
    if not value:
        raise empty(name, "a CIDR")
    return value


def encode_range(name: str, value: Any) -> bytes:
    """Encode a CIDR, or several that are separated by commas."""
    return encode_str(name, _range(name, value))
