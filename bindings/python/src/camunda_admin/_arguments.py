"""Argument checks and conversions before a call of the C ABI.

Each message has the name of the argument, what the caller passed, and what is expected. All types are
checked here, since the messages of the library have the names and types of the JSON body. The library
checks values that need its rules, such as URLs. Must not depend on the generated modules.
"""

from __future__ import annotations

import os
import sys

from ._errors import ArgumentTypeError, InvalidArgumentError
from ._hidden import HiddenBytes, HiddenStr, expose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Tuple, Type

__all__ = [
    "check_bool",
    "check_count",
    "check_id",
    "check_list",
    "check_seconds",
    "check_str",
    "describe",
    "empty",
    "encode_body",
    "encode_path",
    "encode_segment",
    "encode_str",
    "invalid",
    "wrong_type",
]

_MAX_COUNT = 2**32 - 1
#: Limits of the durations that the library accepts, in seconds: its unit is the nanosecond.
_MIN_SECONDS, _END_OF_SECONDS = 1e-9, 1.8e19

# Numbers: searching `bytes` for `bytes` raises and discards an exception.
_NUL, _PERCENT, _DOT = b"\0%."


def wrong_type(name: str, value: object, expected: str) -> ArgumentTypeError:
    """Return the exception for an argument of the wrong type."""
    value = expose(value)
    given = "None" if value is None else f"{type(value).__name__}"
    return ArgumentTypeError(f"`{name}`: {given} given; expected {expected}")


def invalid(name: str, problem: str, expected: Optional[str] = None) -> InvalidArgumentError:
    """Return the exception for an argument whose value is not valid."""
    return InvalidArgumentError(f"`{name}`: {problem}" + (f"; expected {expected}" if expected else ""))


def empty(name: str, expected: str) -> InvalidArgumentError:
    """Return the exception for an argument that is empty."""
    return InvalidArgumentError(f"`{name}` is empty; expected {expected}")


def describe(value: object) -> str:
    """Return a short description of a value that is not a secret."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def encode_str(name: str, value: str, expected: str = "a str") -> bytes:
    """Encode a string as UTF-8; raise `InvalidArgumentError` if it has a NUL, which would end it in C."""
    _require_str(name, value, expected)
    encoded = _encode(name, value)
    if _NUL in encoded:
        raise invalid(name, "NUL character", "a string without NUL characters")
    return encoded


def _encode(name: str, value: str) -> bytes:
    encoded: Optional[bytes]
    try:
        encoded = HiddenBytes(value.encode()) if isinstance(value, HiddenStr) else value.encode()
    except UnicodeEncodeError:
        encoded = None
    if encoded is None:
        # Raised outside of `except`: the cause would contain the string.
        raise invalid(name, "unpaired surrogate", "a string that can be encoded as UTF-8")
    return encoded


def check_str(name: str, value: str) -> str:
    """Return a string for a request body unchanged; raise an exception if JSON cannot represent it."""
    _require_str(name, value, "a str")
    if not value.isascii():
        _encode(name, value)
    return value


def _require_str(name: str, value: object, expected: str) -> None:
    if not isinstance(value, str):
        raise wrong_type(name, value, expected)


def check_id(name: str, value: Any) -> str:
    """Return an id as a string. Accepts a `uuid.UUID`."""
    if isinstance(value, str):
        if not value:
            raise empty(name, "an id")
        return check_str(name, value)
    # An instance exists only if the program has imported the module.
    uuid = sys.modules.get("uuid")
    if uuid is not None and isinstance(value, uuid.UUID):
        return str(value)
    raise wrong_type(name, value, "an id: a str or a uuid.UUID")


def encode_segment(name: str, value: str) -> bytes:
    """Encode a string that becomes a segment of the request's path."""
    encoded = encode_str(name, value)
    if not encoded:
        raise empty(name, "a name")
    if (_DOT in encoded or _PERCENT in encoded) and _has_dot_segment(encoded):
        raise invalid(
            name,
            f"{describe(value)} has a `.` or `..` segment, with which the request could reach "
            "another resource",
        )
    return encoded


def _has_dot_segment(path: bytes) -> bool:
    """Return whether a path has a dot segment after repeated percent-decoding; as the library does."""
    decoded = bytearray()
    for byte in path:
        decoded.append(byte)
        # A decoded byte can complete the next escape: `%%32e` is `%2e`, which is `.`.
        while len(decoded) >= 3 and decoded[-3] == 0x25 and _is_hex(decoded[-2:].decode("latin-1")):
            decoded[-3:] = bytes((int(decoded[-2:], 16),))
    segments = bytes(decoded).replace(b"\\", b"/").split(b"/")
    return any(segment.partition(b";")[0] in (b".", b"..") for segment in segments)


def _is_hex(digits: str) -> bool:
    return all(digit in "0123456789abcdefABCDEF" for digit in digits)


def encode_path(name: str, value: Any) -> bytes:
    """Encode a file path as UTF-8."""
    expected = "a path: a str or an os.PathLike"
    if not isinstance(value, (str, os.PathLike)):
        raise wrong_type(name, value, expected)
    path = os.fspath(value)
    if not isinstance(path, str):
        raise wrong_type(name, path, expected)
    if not path:
        raise empty(name, "the path of a file")
    return encode_str(name, path)


def check_bool(name: str, value: bool) -> bool:
    """Return a bool unchanged. Other types are not accepted, since `"false"` is true."""
    if not isinstance(value, bool):
        raise wrong_type(name, value, "True or False")
    return value


def check_count(name: str, value: int) -> int:
    """Return a number from 0 to 2³² − 1 unchanged."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, value, "an int")
    if not 0 <= value <= _MAX_COUNT:
        raise invalid(name, f"{describe(value)} given", f"an int from 0 to {_MAX_COUNT}")
    return value


def check_seconds(name: str, value: Any) -> float:
    """Return a time span in seconds: that of a number above zero, or of a `timedelta`."""
    expected = "a number of seconds above zero, or a timedelta"
    original = value
    datetime = sys.modules.get("datetime")
    if datetime is not None and isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(name, value, expected)
    # Also not NaN, with which every comparison is false.
    if not 0 < value < float("inf"):
        raise invalid(name, f"{describe(original)} given", expected)
    if not _MIN_SECONDS <= value < _END_OF_SECONDS:
        limit = "at least 1e-9 seconds" if value < 1 else "less than 1.8e19 seconds"
        raise invalid(name, f"{describe(original)} given", limit)
    return float(value)


def check_list(
    name: str,
    values: Any,
    check: Callable[[str, Any], Any],
    advice: Optional[str] = None,
    expected: str = "a list of str",
) -> List[Any]:
    """Return an iterable as a list for a request body, each element as `check` returns it.

    A single string is not accepted, since it would be split into its characters; nor is a dict, whose
    values would be dropped. With `advice`, an empty list is not accepted either.
    """
    try:
        # A class such as `list` has the attribute too, but only the class of an enumeration is an iterable.
        elements = iter(values) if hasattr(values, "__iter__") else None
    except TypeError:
        elements = None
    if isinstance(values, (str, bytes, dict)) or elements is None:
        raise wrong_type(name, values, expected)
    result = [check(f"{name}[{number}]", value) for number, value in enumerate(elements)]
    if advice is not None and not result:
        raise InvalidArgumentError(f"`{name}` is an empty list; {advice}")
    return result


def encode_body(body: Any, name: Optional[str] = None) -> Tuple[bytes, int]:
    """Return a request body as JSON and its length in bytes. `name`: the argument that the body is.

    A body that may contain secrets is passed as `Hidden`. The JSON is always a `HiddenBytes`.
    """
    import json

    kind: Type[InvalidArgumentError] = InvalidArgumentError
    try:
        encoded = json.dumps(expose(body), allow_nan=False, separators=(",", ":")).encode()
        return HiddenBytes(encoded), len(encoded)
    except TypeError as error:
        # `Object of type X is not JSON serializable`, or `keys must be …, not X`.
        kind, problem = ArgumentTypeError, str(error)
        if problem.startswith("Object of type "):
            problem = problem[len("Object of type ") :].partition(" is not JSON")[0] + " in it"
    except UnicodeEncodeError:
        problem = "unpaired surrogate in it"
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:
        problem = str(error).lower()
    # Raised outside of `except`: the frames of the cause contain the body.
    raise kind(f"`{name or 'body'}`: {problem}; expected what the module json can encode")
