"""What all types of the API have in common, and the few that are written by hand."""

import copy
from decimal import Decimal
from typing import Any, Callable, Dict, Generic, List, Optional, Type, TypeVar, Union

__all__ = ["Answer", "FailoverStep", "Number", "Secrets", "Word", "WordTable"]

#: A number of the service: `Decimal` where neither `int` nor `float` can hold it exactly.
Number = Union[int, float, Decimal]

# Answers are made by the ten thousand. A frozen dataclass sets its fields one by one through
# `object.__setattr__`; handing it all of them at once takes less than half the time.
new_object: Callable[[Any], Any] = object.__new__
set_fields: Callable[[Any, str, Any], None] = object.__setattr__


def nulls_of(data: Dict[str, Any]) -> Optional[List[str]]:
    """Return the names of the fields that are null: `to_dict` gives them back as they came."""
    if None not in data.values():
        return None
    return [name for name, value in data.items() if value is None]


A = TypeVar("A", bound="Answer")
W = TypeVar("W", bound="Word")


class Answer:
    """An object that the service answered.

    Its fields are attributes in snake case. `extra` has the fields that this version does not know;
    `to_dict` gives everything under the service's own names.
    """

    extra: Dict[str, Any]

    @staticmethod
    def _decode(data: Optional[Dict[str, Any]]) -> Any:
        """Makes the object of decoded JSON, which it takes to pieces."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls: Type[A], data: Dict[str, Any]) -> A:
        """The object of a dict with the service's own names: what `to_dict` gives.

        Raises `KeyError` where a field is missing that the object cannot be without.
        """
        result: A = cls._decode(copy.deepcopy(data))
        return result

    def to_dict(self) -> Dict[str, Any]:
        """Return the object under the API's own names, as it came: with fields that this version does
        not know, and with those that were null.
        """
        raise NotImplementedError


class Word(str):
    """A word of an enumeration: a `str`, whose known values are constants of its class.

    Words that this version does not know pass through unchanged; an absent one is empty.
    """

    __slots__ = ()


class WordTable(Dict[Optional[str], W], Generic[W]):
    """The known words of an enumeration by their text, so that each is made once."""

    def __init__(self, words: Type[W]) -> None:
        super().__init__({None: words("")})
        for name, word in vars(words).items():
            if name.isupper():
                self[str(word)] = word
        self._words = words

    def __missing__(self, text: Optional[str]) -> W:
        # Not kept: what the service sends is not bounded.
        return self._words(text)


class FailoverStep:
    """How a step of a failover went: the service says `ok`, or an object with `error`."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def is_ok(self) -> bool:
        """Whether the service said `ok`."""
        return bool(self._value == "ok")

    @property
    def error(self) -> Optional[str]:
        """What the service said went wrong."""
        error = self._value.get("error") if isinstance(self._value, dict) else None
        return error if isinstance(error, str) else None

    def to_dict(self) -> Any:
        """What the service said, as it came."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FailoverStep) and self._value == other._value

    def __hash__(self) -> int:
        return hash(repr(self._value))

    def __repr__(self) -> str:
        return f"FailoverStep({self._value!r})"


class Secrets(Dict[str, str]):
    """Connector secrets, name to value. A dict that shows the names only when it is printed.

    Copies and unions (`|`) do so too; `to_dict()` and `dict(secrets)` show the values.
    """

    __slots__ = ()

    def to_dict(self) -> Dict[str, str]:
        """The same as a plain dict, which shows its values when it is printed."""
        return dict(self)

    def copy(self) -> "Secrets":
        """Returns a copy that shows the names only, as this one does."""
        return Secrets(self)

    def __or__(self, other: Any) -> Any:
        return Secrets({**self, **other}) if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return Secrets({**other, **self}) if isinstance(other, dict) else NotImplemented

    def __repr__(self) -> str:
        return f"Secrets({', '.join(map(repr, self))})"

    __str__ = __repr__
