"""The names of `typing` that type hints need and Python 3.9 and 3.10 lack, without typing_extensions."""

from __future__ import annotations

__all__ = ["Unpack"]


class Unpack:
    """Stands for `typing.Unpack`: `Unpack[Settings]` is `Settings`."""

    def __class_getitem__(cls, item: object) -> object:
        return item
