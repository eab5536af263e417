"""Arguments on their way to C: checked here where C could not tell, else there."""

import json
import os
from typing import Any, Dict, Iterable, List, Mapping, Tuple, Union

from ._errors import ArgumentTypeError, InvalidArgumentError
from ._models import IpAllowlistEntry

__all__ = [
    "AllowlistEntry",
    "body_of",
    "entries_of",
    "number_of",
    "path_of",
    "str_of",
    "strings_of",
    "text_of",
]

#: An entry of an allowlist as callers write it: a CIDR (or several with commas between them) and
#: what it is for.
AllowlistEntry = Union[IpAllowlistEntry, Tuple[str, str]]


def text_of(name: str, value: str) -> bytes:
    """A text for C, where a NUL would end it."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} is a {type(value).__name__}, not a str")
    try:
        text = value.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"{name} has a half of a surrogate pair") from None
    if b"\0" in text:
        raise InvalidArgumentError(f"{name} has a NUL character")
    return text


def str_of(name: str, value: str) -> str:
    """A text for a body."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} is a {type(value).__name__}, not a str")
    return value


def path_of(name: str, value: Union[str, "os.PathLike[str]"]) -> bytes:
    """A path of a file for C."""
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentTypeError(f"{name} is a {type(value).__name__}, not a path")
    return text_of(name, os.fspath(value))


def number_of(name: str, value: float) -> float:
    """A number for C."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentTypeError(f"{name} is a {type(value).__name__}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgumentError(f"{name} is too large a number") from None


def strings_of(name: str, values: Iterable[str]) -> List[str]:
    """A list of strings for a body.

    A single string is not accepted, since it would be taken letter by letter; nor is a dict, whose
    values would be dropped.
    """
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} is a {type(values).__name__}, not a list of str")
    return list(values)


def entries_of(name: str, values: Iterable[AllowlistEntry]) -> List[Dict[str, Any]]:
    """The entries of an allowlist for a body."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} is a {type(values).__name__}, not a list of entries")
    entries = []
    for value in values:
        if isinstance(value, IpAllowlistEntry):
            # Without fields that it may have got from a newer service: those are not for sending.
            entries.append({"ip": value.ip, "description": value.description})
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            entries.append({"ip": value[0], "description": value[1]})
        else:
            raise ArgumentTypeError(
                f"{name} has an entry that is neither (ip, description) nor an IpAllowlistEntry"
            )
    return entries


def body_of(body: Any) -> Tuple[bytes, int]:
    """A body as JSON text and its length. What is in it is checked by the library."""
    try:
        text = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except TypeError as error:
        raise ArgumentTypeError(f"the body is not JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the body is not JSON: {error}") from None
    return text, len(text)
