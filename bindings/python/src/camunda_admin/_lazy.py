"""The module `_models`, imported when a class of it is first used: creating its classes is slow."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import _models as models
else:

    class _LazyModels:
        """Stands for the module; keeps the names that were read as its attributes."""

        def __getattr__(self, name):
            from . import _models

            value = getattr(_models, name)
            setattr(self, name, value)
            return value

    models = _LazyModels()

__all__ = ["models"]
