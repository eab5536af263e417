"""IP allowlist arguments: conversion to the entries of a request body."""

from typing import Any, Dict, Iterable, List, Mapping, Tuple, Union

from ._errors import ArgumentTypeError
from ._models import IpAllowlistEntry

__all__ = ["AllowlistEntry", "check_allowlist"]

#: An entry of an IP allowlist: an `IpAllowlistEntry`, or a pair of CIDR (several are separated by
#: commas) and description.
AllowlistEntry = Union[IpAllowlistEntry, Tuple[str, str]]


def check_allowlist(name: str, values: Iterable[AllowlistEntry]) -> List[Dict[str, Any]]:
    """Return the entries of an IP allowlist as dicts for a request body."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} is a {type(values).__name__}, not a list of entries")
    entries = []
    for value in values:
        if isinstance(value, IpAllowlistEntry):
            # Fields that only a response has (`extra`) are not part of the request.
            entries.append({"ip": value.ip, "description": value.description})
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            entries.append({"ip": value[0], "description": value[1]})
        else:
            raise ArgumentTypeError(
                f"{name} has an entry that is neither (ip, description) nor an IpAllowlistEntry"
            )
    return entries
