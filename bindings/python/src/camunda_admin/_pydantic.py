"""Schemas with which pydantic validates and serializes objects and enumeration values of responses.

pydantic calls the functions; it is not a dependency of the package.
"""

from __future__ import annotations

from importlib import import_module

from ._lazy import t, types

__all__ = ["enum_schema", "model_schema"]


def model_schema(kind: t.Type[types.ModelT]) -> t.Any:
    """Return the schema of a class of objects: dicts as of `to_dict`, and in Python the objects too."""
    core: t.Any = import_module("pydantic_core.core_schema")

    def load(value: t.Any) -> types.ModelT:
        if isinstance(value, kind):
            return value
        try:
            return kind.from_dict(value)
        except KeyError as error:
            raise ValueError(f"{kind.__name__}: the required field {error} is missing") from None
        except TypeError as error:
            raise ValueError(str(error)) from None

    python = core.no_info_plain_validator_function(load)
    return core.json_or_python_schema(
        json_schema=core.chain_schema([core.dict_schema(core.str_schema()), python]),
        python_schema=python,
        serialization=core.plain_serializer_function_ser_schema(
            kind.to_dict, return_schema=core.dict_schema(core.str_schema())
        ),
    )


def enum_schema(kind: t.Type[types.OpenEnumT]) -> t.Any:
    """Return the schema of an enumeration: strings, also those that this version does not know."""
    core: t.Any = import_module("pydantic_core.core_schema")

    def dump(value: types.OpenEnumT) -> str:
        return value.value

    return core.no_info_after_validator_function(
        kind,
        core.str_schema(strict=True),
        serialization=core.plain_serializer_function_ser_schema(
            dump, return_schema=core.str_schema()
        ),
    )
