"""Finds and loads the library, and makes sure that it is the one this package was made for."""

import ctypes
import os
import sys
from pathlib import Path

from . import _prototypes

__all__ = ["lib", "version"]

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


def version() -> str:
    """The version of the library."""
    text: bytes = lib.camunda_version()
    return text.decode()
