"""Base classes of the API types, and the hand-written types.

Must not depend on any other module of the package.
"""

import copy
from decimal import Decimal
from typing import Any, Callable, Dict, Generic, List, Optional, Type, TypeVar, Union

__all__ = ["FailoverStep", "Model", "Number", "OpenEnum", "OpenEnumValues", "Secrets"]

#: A number of a response: a `Decimal` if neither `int` nor `float` can represent it exactly.
Number = Union[int, float, Decimal]

# A frozen dataclass sets its fields one by one through `object.__setattr__`. For a list of thousands
# of objects, setting the whole `__dict__` takes less than half the time.
new_object: Callable[[Any], Any] = object.__new__
set_fields: Callable[[Any, str, Any], None] = object.__setattr__


def null_fields(data: Dict[str, Any]) -> Optional[List[str]]:
    """Return the names of the fields that are null, or None if there are none.

    `to_dict` restores these fields.
    """
    if None not in data.values():
        return None
    return [name for name, value in data.items() if value is None]


M = TypeVar("M", bound="Model")
E = TypeVar("E", bound="OpenEnum")


class Model:
    """An object of an API response.

    Its fields are attributes in snake case. `extra` has the fields that this version does not know, by
    their JSON names; `to_dict` returns all fields by their JSON names.
    """

    extra: Dict[str, Any]

    @staticmethod
    def _decode(data: Optional[Dict[str, Any]]) -> Any:
        """Return the object of decoded JSON. Removes the known fields from `data` and keeps it."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls: Type[M], data: Dict[str, Any]) -> M:
        """Return the object of a dict with JSON names, as `to_dict` returns it.

        Raises:
            KeyError: a required field is missing.
        """
        result: M = cls._decode(copy.deepcopy(data))
        return result

    def to_dict(self) -> Dict[str, Any]:
        """Return all fields by their JSON names, including unknown ones and those that were null."""
        raise NotImplementedError


class OpenEnum(str):
    """A value of an enumeration: a `str`, with a class constant for each known value.

    A value that this version does not know passes through unchanged; an absent one is empty.
    """

    __slots__ = ()


class OpenEnumValues(Dict[Optional[str], E], Generic[E]):
    """The known values of an enumeration by their string, so that each is created once."""

    def __init__(self, enumeration: Type[E]) -> None:
        super().__init__({None: enumeration("")})
        for name, value in vars(enumeration).items():
            if name.isupper():
                self[str(value)] = value
        self._enumeration = enumeration

    def __missing__(self, value: Optional[str]) -> E:
        # Not stored: the number of unknown values is not bounded.
        return self._enumeration(value)


class FailoverStep:
    """The result of one step of a failover: `ok`, or an object with `error`."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def is_ok(self) -> bool:
        """Whether the step succeeded: the API reported `ok`."""
        return bool(self._value == "ok")

    @property
    def error(self) -> Optional[str]:
        """The error message of the API, or None."""
        error = self._value.get("error") if isinstance(self._value, dict) else None
        return error if isinstance(error, str) else None

    def to_dict(self) -> Any:
        """Return the JSON value unmodified."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FailoverStep) and self._value == other._value

    def __hash__(self) -> int:
        return hash(repr(self._value))

    def __repr__(self) -> str:
        return f"FailoverStep({self._value!r})"


class Secrets(Dict[str, str]):
    """Connector secrets, values by name: a dict whose `repr` and `str` show the names only.

    So do copies and unions (`|`) of it; `to_dict()` and `dict(secrets)` show the values.
    """

    __slots__ = ()

    def to_dict(self) -> Dict[str, str]:
        """Return a plain dict, which shows its values when it is printed."""
        return dict(self)

    def copy(self) -> "Secrets":
        """Return a copy that shows the names only."""
        return Secrets(self)

    def __or__(self, other: Any) -> Any:
        return Secrets({**self, **other}) if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return Secrets({**other, **self}) if isinstance(other, dict) else NotImplemented

    def __repr__(self) -> str:
        return f"Secrets({', '.join(map(repr, self))})"

    __str__ = __repr__
