"""JSON decoding of responses, without loss of digits.

Must not depend on `_native`.
"""

import json
import math
from decimal import Decimal
from typing import Any, Callable, TypeVar, Union

from ._errors import DecodeError
from ._hidden import HiddenBytes

__all__ = ["decode"]

T = TypeVar("T")


def _parse_float(text: str) -> Union[float, Decimal]:
    """Return a number with a point or an exponent as a `float` if that is exact, else as a `Decimal`."""
    number = float(text)
    exact = Decimal(text)
    if math.isfinite(number) and Decimal(repr(number)) == exact:
        return number
    return exact


def _parse_int(text: str) -> Union[int, Decimal]:
    """Return a whole number as an `int`, or as a `Decimal` beyond Python's limit of digits."""
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


_decoder = json.JSONDecoder(parse_float=_parse_float)
# Slower: a `parse_int` of its own is called for each whole number.
_decoder_for_long_integers = json.JSONDecoder(parse_float=_parse_float, parse_int=_parse_int)


def _parse(encoded: bytes) -> Any:
    text = encoded.decode("utf-8-sig" if encoded.startswith(b"\xef") else "utf-8")
    try:
        return _decoder.decode(text)
    except ValueError:
        return _decoder_for_long_integers.decode(text)


def decode(encoded: bytes, operation: str, convert: Callable[[Any], T]) -> T:
    """Return `convert` of the decoded JSON of a response.

    Raises `DecodeError`, whose `body` is the response, if either of the two fails.
    """
    try:
        return convert(_parse(encoded))
    except Exception as error:
        problem = f"it has no {error}" if isinstance(error, KeyError) else type(error).__name__
    failure = DecodeError(
        f"{operation}: the response cannot be decoded ({problem}); the error's body has it",
        stage="decode",
        outcome="completed",
        body=HiddenBytes(encoded),
        operation=operation,
    )
    # Neither chained nor with the response in a local variable: a traceback may show both.
    del encoded
    raise failure
