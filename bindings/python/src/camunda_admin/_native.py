"""Finds and loads the library, and makes sure that it is the one this package was made for."""

import atexit
import ctypes
import os
import sys
from pathlib import Path

from . import _prototypes

__all__ = ["lib", "shutdown", "stopped_by_shutdown", "version"]

_VARIABLE = "CAMUNDA_ADMIN_LIBRARY"


def library_name() -> str:
    """What the library is called on this platform."""
    if sys.platform == "win32":
        return "camunda_admin.dll"
    if sys.platform == "darwin":
        return "libcamunda_admin.dylib"
    return "libcamunda_admin.so"


def _load() -> ctypes.CDLL:
    named = os.environ.get(_VARIABLE)
    path = named or str(Path(__file__).resolve().parent / library_name())
    try:
        # CDLL, so that the interpreter's lock is free while C works.
        library = ctypes.CDLL(path)
    except OSError as error:
        origin = f"the variable {_VARIABLE}" if named else "the installed package"
        raise ImportError(f"camunda_admin: cannot load the library of {origin}: {error}") from None
    try:
        library.camunda_abi_version.restype = ctypes.c_uint32
        abi = library.camunda_abi_version()
    except AttributeError:
        raise ImportError(f"camunda_admin: {path} is not libcamunda_admin") from None
    if abi != _prototypes.CAMUNDA_ABI_VERSION:
        raise ImportError(
            f"camunda_admin: {path} has version {abi} of the C ABI, this package is made for "
            f"version {_prototypes.CAMUNDA_ABI_VERSION}; install both from the same source"
        )
    try:
        _prototypes.declare(library)
    except AttributeError as error:
        raise ImportError(
            f"camunda_admin: {path} is older than this package: {error}; install both from the "
            "same source"
        ) from None
    return library


lib = _load()

#: What all clients join, so that they stop before the interpreter does.
shutdown: int = lib.camunda_shutdown_new()

# The interpreter ends the threads that still run by unwinding them as soon as they enter it, which a
# callback must not be. So calls are cancelled first, after threads that are no daemons have ended by
# themselves, and before the handlers that were registered earlier than this one. Without a function in
# Python, whose first step a signal handler could interrupt.
atexit.register(lib.camunda_shutdown_start, shutdown, 2.0)


def stopped_by_shutdown(status: int) -> bool:
    """Whether a call on this thread ended because the interpreter exits."""
    return bool(
        status == _prototypes.CAMUNDA_STATUS_CANCELLED
        and lib.camunda_shutdown_stops_calls(shutdown)
    )


def version() -> str:
    """The version of the library."""
    text: bytes = lib.camunda_version()
    return text.decode()
