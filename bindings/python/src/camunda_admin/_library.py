"""The native library: locating, loading, checking its ABI version, and shutdown with the interpreter."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys

from . import _prototypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["lib", "shutdown", "stopped_by_shutdown", "version"]

_VARIABLE = "CAMUNDA_ADMIN_LIBRARY"


def library_name() -> str:
    """Return the file name of the native library on this platform."""
    if sys.platform == "win32":
        return "camunda_admin.dll"
    if sys.platform == "darwin":
        return "libcamunda_admin.dylib"
    return "libcamunda_admin.so"


class Library(ctypes.CDLL):
    """The native library. A function gets its types when it is first used."""

    def __getattr__(self, name: str) -> Any:
        prototype = _prototypes.PROTOTYPES.get(name)
        if prototype is None:
            raise AttributeError(name)
        try:
            function = self[name]
        except AttributeError as error:
            raise AttributeError(
                f"camunda_admin: {self._name} is older than this package: {error}; install both from "
                "the same source"
            ) from None
        function.restype, function.argtypes = prototype
        # Only now, since other threads may use the attribute.
        setattr(self, name, function)
        return function


def _load() -> Library:
    named = os.environ.get(_VARIABLE)
    path = named or os.path.join(os.path.dirname(os.path.realpath(__file__)), library_name())
    try:
        # CDLL releases the GIL during a call.
        library = Library(path)
    except OSError as error:
        origin = f"the variable {_VARIABLE}" if named else "the installed package"
        hint = ""
        if not named and not os.path.isfile(path):
            hint = (
                "; install the package with pip and do not import it from a zip archive, or set the variable "
                f"{_VARIABLE} to the path of the library"
            )
        raise ImportError(f"camunda_admin: cannot load the library from {origin}: {error}{hint}") from None
    try:
        abi = library.camunda_abi_version()
    except AttributeError:
        raise ImportError(f"camunda_admin: {path} is not libcamunda_admin") from None
    if abi != _prototypes.CAMUNDA_ABI_VERSION:
        raise ImportError(
            f"camunda_admin: {path} has version {abi} of the C ABI, this package requires "
            f"version {_prototypes.CAMUNDA_ABI_VERSION}; install both from the same source"
        )
    return library


lib = _load()

#: The shutdown handle of all clients: started at interpreter exit, it cancels their calls.
shutdown: int = lib.camunda_shutdown_new()

# During finalization the interpreter unwinds each daemon thread that returns to it, and a callback
# must not be unwound through C. So calls are cancelled before: after the non-daemon threads have ended,
# and before the `atexit` handlers that were registered earlier. The C function is registered directly,
# since a signal handler could interrupt the first step of a Python function.
atexit.register(lib.camunda_shutdown_start, shutdown, 2.0)


def stopped_by_shutdown(status: int) -> bool:
    """Return whether a call on this thread was cancelled because the interpreter exits."""
    return bool(
        status == _prototypes.CAMUNDA_STATUS_CANCELLED
        and lib.camunda_shutdown_stops_calls(shutdown)
    )


def version() -> str:
    """Return the version of the native library."""
    text: bytes = lib.camunda_version()
    return text.decode()
