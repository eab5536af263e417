"""JSON decoding of responses, without loss of digits.

Must not depend on `_library`.
"""

from __future__ import annotations

from ._errors import decode_error_class
from ._hidden import HiddenBytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Any, Callable, TypeVar, Union

    T = TypeVar("T")

__all__ = ["decode"]


def _parse_float(text: str) -> Union[float, Decimal]:
    """Return a number with a point or an exponent as a `float` if that is exact, else as a `Decimal`."""
    import math
    from decimal import Decimal

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
        from decimal import Decimal

        return Decimal(text)


_decoder: Any = None


def _parse(encoded: Union[str, bytes]) -> Any:
    global _decoder
    if _decoder is None:
        from json import JSONDecoder  # slow to import, and not needed before the first response

        _decoder = JSONDecoder(parse_float=_parse_float)
    text = encoded if isinstance(encoded, str) else encoded.decode()
    try:
        # Faster than `decode`, which searches white space on both sides.
        value, end = _decoder.raw_decode(text)
        if end == len(text) or not text[end:].strip(" \t\r\n"):
            return value
    except ValueError:
        pass
    return _parse_any(text)


def _parse_any(text: str) -> Any:
    """Parse JSON with a byte-order mark, white space around it, or numbers of any length."""
    from json import JSONDecoder

    # Slower: a `parse_int` of its own is called for each whole number.
    decoder = JSONDecoder(parse_float=_parse_float, parse_int=_parse_int)
    return decoder.decode(text[1:] if text.startswith("\ufeff") else text)


def decode(
    encoded: Union[str, bytes],
    operation: str,
    convert: Callable[[Any], T],
    *,
    is_change: bool = False,
) -> T:
    """Return `convert` of the decoded JSON of a response.

    Raises `DecodeError`, whose `body` is the response, if either of the two fails; it is also an
    `OutcomeUnknownError` if the operation is a change.
    """
    try:
        return convert(_parse(encoded))
    except Exception as error:
        problem = f"it has no {error}" if isinstance(error, KeyError) else type(error).__name__
    failure = decode_error_class(is_change)(
        f"{operation}: the response cannot be decoded ({problem}); the error's body has it",
        stage="decode",
        outcome="completed",
        body=HiddenBytes(encoded.encode() if isinstance(encoded, str) else encoded),
        operation=operation,
    )
    # Neither chained nor with the response in a local variable: a traceback may show both.
    del encoded
    raise failure
