"""Arguments on their way to C: checked here where C could not tell, else there."""

import json
import os
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Type, Union

from ._errors import ArgumentTypeError, InvalidArgumentError
from ._hidden import HiddenBytes, HiddenStr, expose
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
    _check_str(name, value)
    text: Optional[bytes]
    try:
        text = HiddenBytes(value.encode()) if isinstance(value, HiddenStr) else value.encode()
    except UnicodeEncodeError:
        text = None
    if text is None:
        # Not chained: the cause has the text in it.
        raise InvalidArgumentError(f"{name} has a half of a surrogate pair")
    if b"\0" in text:
        raise InvalidArgumentError(f"{name} has a NUL character")
    return text


def str_of(name: str, value: str) -> str:
    """A text for a body."""
    _check_str(name, value)
    return value


def _check_str(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} is a {type(expose(value)).__name__}, not a str")


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
    """A body as JSON text and its length. What is in it is checked by the library.

    One that may have secrets in it comes `Hidden`; the text always is.
    """
    kind: Type[InvalidArgumentError] = InvalidArgumentError
    try:
        text = json.dumps(expose(body), allow_nan=False, separators=(",", ":")).encode()
        return HiddenBytes(text), len(text)
    except TypeError as error:
        kind, problem = ArgumentTypeError, str(error)
    except (ValueError, RecursionError) as error:
        problem = str(error)
    # Not chained: the cause's frames have the body in them.
    raise kind(f"the body is not JSON: {problem}")
