"""Base classes of the API types, and the hand-written types.

Must not depend on any other module of the package but `_lazy` when it is imported.
"""

from __future__ import annotations

from ._lazy import t, types

TYPE_CHECKING = False
if TYPE_CHECKING:
    import dataclasses
    from collections.abc import Mapping
    from typing import ClassVar
else:
    # From where `collections.abc`, which is slow to import, has it.
    from _collections_abc import Mapping

__all__ = ["FailoverStep", "Model", "OpenEnum", "OpenEnumType", "Secrets"]

_new: t.Any = object.__new__
_new_str: t.Any = str.__new__


# ---- Objects ----------------------------------------------------------------------------------


class _DataclassAttribute:
    """Makes `dataclasses`, and modules that know dataclasses (`pprint`, pytest), accept the objects of
    responses.

    The attribute is computed when it is read, since `dataclasses` is slow to import.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._computed: t.Dict[type, t.Any] = {}

    def __get__(self, instance: object, owner: t.Type[Model]) -> t.Any:
        found = self._computed.get(owner)
        if found is None:
            from dataclasses import field, make_dataclass
            from typing import get_type_hints

            described = [
                (
                    name,
                    get_type_hints(vars(owner)[name].fget)["return"],
                    field(default=None, repr=name not in owner._hidden),
                )
                for name in owner._names
            ]
            described.append(("extra", t.Dict[str, t.Any], field(default=None, repr=False)))
            made: t.Any = make_dataclass(owner.__name__, described, frozen=True)
            found = self._computed[owner] = getattr(made, self._name)
        return found


class Model:
    """An object of an API response. Immutable.

    Its fields are read-only attributes in snake case, in the order of `__match_args__`. Objects are
    equal if they are of the same class and their fields are equal, and can be hashed, copied and
    pickled. Class patterns and the functions of `dataclasses` (`fields`, `replace`, `asdict`) work.

    Attributes:
        extra: The fields that this version does not know, by their JSON names. A new dict each time.
    """

    # The JSON object. A nested object takes the place of its JSON when it is first read.
    __slots__ = ("_data", "__weakref__")

    if TYPE_CHECKING:
        _data: t.Dict[str, t.Any]
        #: The JSON names of the fields by attribute.
        _names: ClassVar[t.Mapping[str, str]] = {}
        #: The attributes without which there is no object.
        _required: ClassVar[t.Tuple[str, ...]] = ()
        #: The attributes that are secrets.
        _hidden: ClassVar[t.Tuple[str, ...]] = ()
        __dataclass_fields__: ClassVar[t.Dict[str, dataclasses.Field[t.Any]]]
    else:
        # Without annotations, which `typing.get_type_hints` could not resolve.
        _names = {}
        _required = ()
        _hidden = ()
        __dataclass_fields__ = _DataclassAttribute("__dataclass_fields__")
        __dataclass_params__ = _DataclassAttribute("__dataclass_params__")

    @classmethod
    def _of(cls: t.Type[types.ModelT], data: t.Optional[t.Dict[str, t.Any]]) -> types.ModelT:
        """Return the object of decoded JSON, which it keeps."""
        result: types.ModelT = _new(cls)
        _set_data(result, {} if data is None else data)
        return result

    def _fill(self, values: t.Iterable[t.Any], extra: t.Optional[t.Mapping[str, t.Any]]) -> None:
        """Set the fields of a new object, in the order of `_names`. None: the field is absent."""
        data = {
            name: _given_to_json(value)
            for name, value in zip(self._names.values(), values)
            if value is not None
        }
        _set_data(self, {**data, **self._unknown_fields(extra)})
        self._check(required=False)

    @classmethod
    def _unknown_fields(cls, extra: t.Optional[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
        """Return the argument `extra` of a constructor or of `replace` as decoded JSON."""
        if not extra:
            return {}
        if not isinstance(extra, Mapping):
            raise TypeError(f"{cls.__name__}.extra: {type(extra).__name__} given; expected a dict")
        for attribute, name in cls._names.items():
            if name in extra:
                raise TypeError(
                    f"{cls.__name__}.extra: {name!r} is a field; give it as the argument {attribute!r}"
                )
        fields: t.Dict[str, t.Any] = to_json(extra)
        return fields

    def _object(self, name: str, kind: t.Type[types.ModelT]) -> types.ModelT:
        """Return the object of a field; an empty one if the field is absent."""
        value: t.Any = self._data.get(name)
        if value.__class__ is kind:
            found: types.ModelT = value
            return found
        if value is None:
            return kind._of(None)
        result = self._data[name] = _as_object(kind, value)
        return result

    def _objects(self, name: str, kind: t.Type[types.ModelT]) -> t.Tuple[types.ModelT, ...]:
        """Return the list of a field as a tuple of objects; an empty one if the field is absent."""
        values = self._data.get(name)
        if values is None:
            return ()
        if isinstance(values, tuple):
            return values
        _check_list(values)
        result = tuple([_as_object(kind, value, index) for index, value in enumerate(values)])
        self._data[name] = result
        return result

    @classmethod
    def from_dict(cls: t.Type[types.ModelT], data: t.Mapping[str, t.Any]) -> types.ModelT:
        """Return the object of a dict with JSON names, as `to_dict` returns it.

        The types of strings, numbers and booleans are not checked.

        Raises:
            KeyError: a required field is missing.
            TypeError: `data` or an object in it is not a mapping, or a list is not a list.
        """
        result = cls._of(_object_of(cls, data))
        result._check(required=True)
        return result

    def to_dict(self) -> t.Dict[str, t.Any]:
        """Return the JSON object of the response: all fields by their JSON names, unknown ones included.

        A number that neither `int` nor `float` represents exactly, such as `1e999`, is a `Decimal`, which
        `json.dumps` accepts only with a function `default`.
        """
        result: t.Dict[str, t.Any] = to_json(self._data, True)
        return result

    @property
    def extra(self) -> t.Dict[str, t.Any]:
        """The fields that this version does not know, by their JSON names. A new dict each time."""
        known = set(self._names.values())
        return {name: to_json(value) for name, value in self._data.items() if name not in known}

    def _values(self) -> t.Tuple[t.Any, ...]:
        return tuple([getattr(self, name) for name in self._names])

    def _check(self, *, required: bool) -> None:
        """Raise an exception if a field, or one of a nested object, is not the object or the list that it
        must be; with `required`, also if it is missing.
        """
        if required:
            for name in self._required:
                if self._data.get(self._names[name]) is None:
                    raise KeyError(self._names[name])
        for name, key in self._names.items():
            try:
                value = getattr(self, name)
                if isinstance(value, tuple) and self._data.get(key) is not None:
                    _check_list(self._data[key])
            except TypeError as error:
                message = str(error)
                separator = "" if message.startswith("[") else ": "
                raise TypeError(f"{type(self).__name__}.{name}{separator}{message}") from None
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, Model):
                    each._check(required=required)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model) or type(other) is not type(self):
            return NotImplemented
        return (
            self is other
            or self._data == other._data
            or (self._values() == other._values() and self.extra == other.extra)
        )

    def __hash__(self) -> int:
        # Not of lists and dicts, which cannot be hashed, nor of tuples, which may contain them. Equal objects have
        # equal hashes all the same.
        values = [v for v in self._values() if type(v).__hash__ is not None and not isinstance(v, tuple)]
        return hash((type(self), *values))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={getattr(self, name)!r}" for name in self._names if name not in self._hidden
        )
        return f"{type(self).__name__}({shown})"

    def __setattr__(self, name: str, value: object) -> None:
        self._refuse("assigned", name)

    def __delattr__(self, name: str) -> None:
        self._refuse("deleted", name)

    def _refuse(self, change: str, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(
            f"{type(self).__name__}.{name} cannot be {change}: the object is immutable; use `replace`"
        )

    def replace(self: types.ModelT, **changes: t.Any) -> types.ModelT:
        """Return a copy with other values for some fields, which are given as keyword arguments.

        The types of strings, numbers and booleans are not checked.

        Raises:
            TypeError: the class has no such field, or its value is not the object or the iterable that
                it must be, or an element of that is not the object that it must be, or `extra` has a
                field of the class.
        """
        data = dict(self._data)
        extra = changes.pop("extra", None)
        if extra is not None:
            known = set(self._names.values())
            data = {name: value for name, value in data.items() if name in known}
            data.update(self._unknown_fields(extra))
        for name, value in changes.items():
            if name not in self._names:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
            data.pop(self._names[name], None)
            if value is not None:
                data[self._names[name]] = _given_to_json(value)
        result = self._of(data)
        result._check(required=False)
        return result

    def __replace__(self: types.ModelT, **changes: t.Any) -> types.ModelT:
        return self.replace(**changes)

    def __copy__(self: types.ModelT) -> types.ModelT:
        return self

    def __deepcopy__(self: types.ModelT, memo: t.Any) -> types.ModelT:
        return self

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        from copyreg import __newobj__  # type: ignore[attr-defined]

        return __newobj__, (type(self),), self.to_dict()

    def __setstate__(self, data: t.Dict[str, t.Any]) -> None:
        # Not `from_dict`: an object may lack required fields, also those of a newer version.
        _set_data(self, data)

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: t.Any) -> t.Any:
        from ._pydantic import model_schema

        return model_schema(cls)


_set_data: t.Any = vars(Model)["_data"].__set__


def to_json(value: t.Any, plain: bool = False) -> t.Any:
    """Return a copy of a value as decoded JSON. `plain`: with dicts instead of nested objects."""
    if isinstance(value, (list, tuple)):
        return [to_json(each, plain) for each in value]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Model):
        return to_json(value._data, True) if plain else value
    # `dict` is tested first, since it is faster.
    if isinstance(value, (dict, Mapping)):
        return {name: to_json(each, plain) for name, each in value.items()}
    if isinstance(value, FailoverStep):
        return value.to_dict()
    if hasattr(value, "isoformat"):
        # The text of one without a time zone is not a valid time of the API.
        if getattr(value, "tzinfo", None) is None:
            raise TypeError(f"{type(value).__name__} without a time zone given; expected an aware datetime")
        return value.isoformat()
    return value


def _given_to_json(value: t.Any) -> t.Any:
    """Return a value that the program gives for a field as decoded JSON. Reads an iterable once."""
    if hasattr(value, "__iter__") and not isinstance(value, _NOT_ITERATED):
        value = list(value)
    return to_json(value)


# `to_json` copies lists, tuples and mappings; bytes, like strings, are no lists.
_NOT_ITERATED = (str, bytes, bytearray, memoryview, list, tuple, Mapping)


def _as_object(kind: t.Type[types.ModelT], value: t.Any, index: t.Optional[int] = None) -> types.ModelT:
    """Return decoded JSON as an object. `index`: its place in a list, for the message of an exception."""
    if isinstance(value, dict):
        return kind._of(value)
    if isinstance(value, kind):
        return value
    place = "" if index is None else f"[{index}]: "
    # Tuples are lists in JSON.
    given = "list or tuple" if isinstance(value, list) else type(value).__name__
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    raise TypeError(f"{place}{given} given; expected {article} {kind.__name__} or a dict")


def _check_list(value: t.Any) -> None:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{type(value).__name__} given; expected a list")


def _object_of(kind: t.Type[Model], data: t.Any) -> t.Dict[str, t.Any]:
    if not isinstance(data, Mapping):
        raise TypeError(f"{kind.__name__}: {type(data).__name__} given; expected a dict")
    return {name: to_json(value) for name, value in data.items()}


# ---- Times ------------------------------------------------------------------------------------


def to_datetime(value: t.Any) -> t.Optional[types.datetime]:
    """Return the time of an RFC 3339 string, or of a number of milliseconds since 1970, in UTC or with
    the offset of the string. None if it is neither, or beyond the years 1 to 9999.
    """
    from datetime import datetime, timedelta, timezone

    try:
        if not isinstance(value, str):
            start = datetime(1970, 1, 1, tzinfo=timezone.utc)
            return None if value is None else start + timedelta(milliseconds=_exact(value))
        match = _rfc_3339(value)
        if match is None:
            return None
        *numbers, fraction, sign, hours, minutes = match.groups("")
        year, month, day, hour, minute, second = map(int, numbers)
        zone = timezone.utc
        if sign:
            if int(hours) > 23 or int(minutes) > 59:
                return None
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            zone = timezone(-offset if sign == "-" else offset)
        # A leap second is the first second of the next minute.
        leap = second == 60
        time = datetime(
            year, month, day, hour, minute, 59 if leap else second, int(fraction[:6].ljust(6, "0")), zone
        )
        return time + timedelta(seconds=1) if leap else time
    except (ValueError, OverflowError, TypeError):
        return None


def _exact(milliseconds: t.Any) -> t.Union[int, float]:
    whole = int(milliseconds)
    return whole if whole == milliseconds else float(milliseconds)


_pattern: t.Any = None


def _rfc_3339(text: str) -> t.Any:
    global _pattern
    if _pattern is None:
        import re

        _pattern = re.compile(
            r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
            r"(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
        )
    return _pattern.fullmatch(text)


# ---- Enumerations -----------------------------------------------------------------------------


class OpenEnumType(type):
    """The class of enumerations, which are containers of their known values.

    `list(ClientPermission)`, `len(ClientPermission)` and `"Zeebe" in ClientPermission` work.
    """

    if TYPE_CHECKING:
        _values: t.Dict[t.Optional[str], t.Any]
        _constants: t.Dict[str, t.Any]

    def __init__(cls, name: str, bases: t.Tuple[type, ...], namespace: t.Dict[str, t.Any]) -> None:
        super().__init__(name, bases, namespace)
        cls._constants = {}
        cls._values = values = _Values(cls)
        values[None] = values[""] = _new_str(cls, "")
        for constant, value in namespace.items():
            if constant.isupper():
                values[value] = cls._constants[constant] = _new_str(cls, value)
                type.__setattr__(cls, constant, values[value])

    @property
    def __members__(cls: t.Type[types.OpenEnumT]) -> t.Dict[str, types.OpenEnumT]:  # type: ignore[misc]
        """The known values by the names of their constants."""
        return dict(cls._constants)

    def __iter__(cls: t.Type[types.OpenEnumT]) -> t.Iterator[types.OpenEnumT]:  # type: ignore[misc]
        return iter(cls._constants.values())

    def __len__(cls) -> int:
        return len(cls._constants)

    def __bool__(cls) -> bool:
        return True

    def __contains__(cls, value: object) -> bool:
        return isinstance(value, str) and value in cls._constants.values()

    def __setattr__(cls, name: str, value: object) -> None:
        if name.isupper():
            raise AttributeError(f"{cls.__name__}.{name} cannot be assigned")
        super().__setattr__(name, value)


class _Values(dict["t.Optional[str]", "t.Any"]):
    """The known values of an enumeration by their string, so that each is created once."""

    __slots__ = ("_enumeration",)

    def __init__(self, enumeration: t.Any) -> None:
        self._enumeration = enumeration

    def __missing__(self, value: str) -> t.Any:
        # Not stored: the number of unknown values is not bounded.
        return _new_str(self._enumeration, value)


class OpenEnum(str, metaclass=OpenEnumType):
    """A value of an enumeration: a `str`, with a class constant for each known value.

    A value that this version does not know passes through unchanged; an absent one is empty. The class
    is a container of the known values: `list(ClientPermission)`, `"Zeebe" in ClientPermission`. A
    `match` statement compares with the constants, and needs a `case _` for unknown values.
    """

    __slots__ = ()

    def __new__(cls: t.Type[types.OpenEnumT], value: str) -> types.OpenEnumT:
        if not isinstance(value, str):
            raise TypeError(f"{cls.__name__}: {type(value).__name__} given; expected a str")
        found: types.OpenEnumT = cls._values[str(value)]
        return found

    @property
    def name(self) -> t.Optional[str]:
        """The name of the constant, or None if this version does not know the value."""
        for name, value in type(self)._constants.items():
            if value is self:
                return name
        return None

    @property
    def value(self) -> str:
        """The value as a plain `str`."""
        return str.__str__(self)

    def __copy__(self: types.OpenEnumT) -> types.OpenEnumT:
        return self

    def __deepcopy__(self: types.OpenEnumT, memo: t.Any) -> types.OpenEnumT:
        return self

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        return type(self), (self.value,)

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: t.Any) -> t.Any:
        from ._pydantic import enum_schema

        return enum_schema(cls)


# ---- Hand-written types -----------------------------------------------------------------------


class FailoverStep:
    """The result of one step of a failover: `ok`, or an object with `error`."""

    __slots__ = ("_value",)

    def __init__(self, value: t.Any) -> None:
        self._value = value

    @property
    def is_ok(self) -> bool:
        """Whether the step succeeded: the API reported `ok`."""
        return bool(self._value == "ok")

    @property
    def error(self) -> t.Optional[str]:
        """The error message of the API, or None."""
        error = self._value.get("error") if isinstance(self._value, dict) else None
        return error if isinstance(error, str) else None

    def to_dict(self) -> t.Any:
        """Return the JSON value unmodified."""
        return to_json(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FailoverStep) and self._value == other._value

    def __hash__(self) -> int:
        return hash((self.is_ok, self.error))

    def __repr__(self) -> str:
        return f"FailoverStep({self._value!r})"


class Secrets(dict[str, str]):
    """Connector secrets, values by name: a dict whose `repr` and `str` show the names only.

    So do copies and unions (`|`) of it; `to_dict()` and `dict(secrets)` show the values.
    """

    __slots__ = ()

    def to_dict(self) -> t.Dict[str, str]:
        """Return a plain dict, which shows its values when it is printed."""
        return dict(self)

    def copy(self) -> Secrets:
        """Return a copy that shows the names only."""
        return Secrets(self)

    def __or__(self, other: t.Any) -> t.Any:
        return Secrets({**self, **other}) if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: t.Any) -> t.Any:
        return Secrets({**other, **self}) if isinstance(other, dict) else NotImplemented

    def __repr__(self) -> str:
        return f"Secrets({', '.join(map(repr, self))})"

    __str__ = __repr__


# The name that programs import.
for _class in (FailoverStep, Model, OpenEnum, OpenEnumType, Secrets):
    _class.__module__ = "camunda_admin"
