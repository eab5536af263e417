"""Modules that are imported when a name of them is first used, since importing them is slow.

Type hints name types as attributes of `t` (`typing`), `types`, `models` and `values`: that takes no time when the
package is imported, and `typing.get_type_hints` resolves them.
"""

from __future__ import annotations

import os
import sys

# Without the annotation, the completion of IPython (jedi) ignores the branch for type checkers.
TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    # Has all names of `typing`, also those that are newer than the oldest supported Python.
    import typing_extensions as t

    from . import _models as models
    from . import _types as types
    from . import _values as values
else:

    class _LazyModule:
        """Stands for a module, and for others that have what it lacks; keeps the names that were read."""

        def __init__(self, *modules):
            self._modules = modules

        def __getattr__(self, name):
            from importlib import import_module

            for module in self._modules:
                try:
                    value = getattr(import_module(module, __package__), name)
                except (AttributeError, ImportError):
                    if module == self._modules[-1]:
                        raise
                else:
                    setattr(self, name, value)
                    return value

    t = _LazyModule("typing", "typing_extensions", "._typing")
    types = _LazyModule("._types")
    models = _LazyModule("._models")
    values = _LazyModule("._values")

__all__ = ["models", "t", "types", "values"]

#: The modules that calls import.
_OF_CALLS = (
    "codecs",
    "datetime",
    "decimal",
    "io",
    "json",
    "math",
    "re",
    "._models",
    "._progress",
    "._token_source",
    "._token_store",
)


def _import_before_fork() -> None:
    """Import what a thread may be importing in its first call: a forked child, which has no such thread,
    would wait forever for the lock of the module.
    """
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        from importlib import import_module

        for module in _OF_CALLS:
            import_module(module, __package__)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_import_before_fork)
