"""Argument checks and conversions before a call of the C ABI.

Checks only what the C ABI cannot detect, such as types and NUL characters; the library checks the
rest. Must not depend on the generated modules.
"""

import json
import os
from typing import Any, Iterable, List, Mapping, Optional, Tuple, Type, Union

from ._errors import ArgumentTypeError, InvalidArgumentError
from ._hidden import HiddenBytes, HiddenStr, expose

__all__ = [
    "check_number",
    "check_str",
    "check_str_list",
    "encode_body",
    "encode_path",
    "encode_str",
]


def encode_str(name: str, value: str) -> bytes:
    """Encode a string as UTF-8; raise `InvalidArgumentError` if it has a NUL, which would end it in C."""
    _require_str(name, value)
    encoded: Optional[bytes]
    try:
        encoded = HiddenBytes(value.encode()) if isinstance(value, HiddenStr) else value.encode()
    except UnicodeEncodeError:
        encoded = None
    if encoded is None:
        # Raised outside of `except`: the cause would contain the string.
        raise InvalidArgumentError(f"{name} has an unpaired surrogate")
    if b"\0" in encoded:
        raise InvalidArgumentError(f"{name} has a NUL character")
    return encoded


def check_str(name: str, value: str) -> str:
    """Return a string for a request body unchanged; raise `ArgumentTypeError` for another type."""
    _require_str(name, value)
    return value


def _require_str(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} is a {type(expose(value)).__name__}, not a str")


def encode_path(name: str, value: Union[str, "os.PathLike[str]"]) -> bytes:
    """Encode a file path as UTF-8."""
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentTypeError(f"{name} is a {type(value).__name__}, not a path")
    return encode_str(name, os.fspath(value))


def check_number(name: str, value: float) -> float:
    """Return an int or float as a float; a bool is not accepted."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentTypeError(f"{name} is a {type(value).__name__}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgumentError(f"{name} is too large for a float") from None


def check_str_list(name: str, values: Iterable[str]) -> List[str]:
    """Return an iterable of strings as a list for a request body.

    A single string is not accepted, since it would be split into its characters; nor is a dict, whose
    values would be dropped. The library checks the types of the elements.
    """
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} is a {type(values).__name__}, not a list of str")
    return list(values)


def encode_body(body: Any) -> Tuple[bytes, int]:
    """Return a request body as JSON and its length in bytes. The library checks its content.

    A body that may contain secrets is passed as `Hidden`. The JSON is always a `HiddenBytes`.
    """
    kind: Type[InvalidArgumentError] = InvalidArgumentError
    try:
        encoded = json.dumps(expose(body), allow_nan=False, separators=(",", ":")).encode()
        return HiddenBytes(encoded), len(encoded)
    except TypeError as error:
        kind, problem = ArgumentTypeError, str(error)
    except (ValueError, RecursionError) as error:
        problem = str(error)
    # Raised outside of `except`: the frames of the cause contain the body.
    raise kind(f"the body is not valid JSON: {problem}")
