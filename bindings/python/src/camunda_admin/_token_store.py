"""Token stores written in Python, and the callbacks through which the library uses them."""

from __future__ import annotations

import abc
import ctypes
import errno
import itertools
import json
from _thread import _local
from ctypes import byref, c_void_p

from . import _prototypes
from ._arguments import encode_str
from ._callbacks import logger, protect_first_step, store_exception
from ._lazy import t
from ._library import lib
from ._native_handle import check

__all__ = ["TokenStore", "use_store"]


class TokenStore(abc.ABC):
    """A store that several processes or machines share tokens through: `token_cache` of `AdminClient`.

    Values are at most a few kilobytes; names consist of lower-case letters, digits and `-`. Neither is
    secret: names are digests, and values that contain a token are encrypted with a key derived from
    the client secret.

    The methods are called from several threads concurrently, and in forked children. A call cannot be
    interrupted: return within 250 ms, or API calls exceed their deadline. An API call with less than
    250 ms left does not use the store, and sends no token request.

    An exception never fails an API call. The library then does not use the method that raised it for
    30 s; after an `OSError` such as `TimeoutError` or `ConnectionError` it uses none of the three. The
    first exception is logged as a warning, without its traceback, which is logged at `DEBUG`; `diagnostics()`
    has the last one of each method. Its message must not contain a password.

    `KeyboardInterrupt` and other exceptions that are no `Exception` end the call.
    """

    @abc.abstractmethod
    def get(self, name: str) -> t.Optional[bytes]:
        """Return the value stored under `name`, or None if it is absent or expired."""

    @abc.abstractmethod
    def put(self, name: str, value: bytes, ttl: float) -> None:
        """Store a value and replace the previous one.

        Must be atomic: a concurrent reader gets the old or the new value, never a mix. The value
        expires after `ttl` seconds; the store may then delete it.
        """

    @abc.abstractmethod
    def try_lock(self, name: str, lease: float) -> t.Optional[t.Callable[[], object]]:
        """Acquire the lock `name` without waiting.

        A store that can detect that the owner has terminated releases its lock immediately, any other
        after `lease` seconds. Locks are independent of values with the same name.

        Returns:
            A function that releases the lock and can be called on any thread, or None if the lock is
            held by another owner.
        """

    def describe(self) -> str:
        """Return the kind and the location of the store, without passwords, for logs and diagnostics."""
        return "custom token store"


def use_store(config: t.Optional[int], store: TokenStore) -> None:
    """Set a store as the token cache of a configuration."""
    description = encode_str("TokenStore.describe", store.describe())
    number = next(_numbers)
    _stores[number] = _RegisteredStore(store, ctypes.create_string_buffer(description))
    error = c_void_p()
    try:
        status = lib.camunda_config_set_token_store(config, byref(_table), number, byref(error))
        check(status, error)
    except BaseException:
        del _stores[number]
        raise


class _RegisteredStore:
    __slots__ = ("store", "description")

    def __init__(self, store: TokenStore, description: ctypes.Array[ctypes.c_char]) -> None:
        self.store = store
        self.description = description


# C receives numbers as its pointers. The tables hold a reference to each object while C has its number.
_stores: t.Dict[int, _RegisteredStore] = {}
_locks: t.Dict[int, t.Callable[[], object]] = {}
_numbers = itertools.count(1)
# Per thread, in `message`: the description of the last exception, or None.
_failure = _local()


def _errno_of(body: t.Callable[[], object]) -> int:
    """Call `body`; return 0, or the `errno` value for the exception that it raised."""
    _failure.message = None
    try:
        body()
        return 0
    except Exception as error:
        _failure.message = ctypes.create_string_buffer(_describe_exception(error))
        log_to = logger()
        if log_to is not None:
            log_to.debug("token store failed", exc_info=True, extra={"part": __name__})
        number = error.errno if isinstance(error, OSError) else None
        if number is not None and number > 0:
            return number
        if isinstance(error, TimeoutError):
            return errno.ETIMEDOUT
        return errno.ECONNRESET if isinstance(error, ConnectionError) else errno.EIO
    except BaseException as error:
        store_exception(error)
        return errno.EINTR


def _describe_exception(error: Exception) -> bytes:
    try:
        text = str(error)
    except Exception:
        text = ""
    kind = type(error).__name__
    return (f"{kind}: {text}" if text else kind).encode("utf-8", "replace")


def _error_message(_user: int) -> t.Optional[int]:
    message = getattr(_failure, "message", None)
    return None if message is None else ctypes.addressof(message)


def _get(user: int, name: bytes, write: t.Any, value: int) -> int:
    def get() -> None:
        found = _stores[user].store.get(name.decode())
        if found is not None:
            encoded = memoryview(found).tobytes()
            write(value, encoded, len(encoded))

    return _errno_of(get)


def _put(user: int, name: bytes, data: t.Optional[int], length: int, ttl_ms: int) -> int:
    def put() -> None:
        value = ctypes.string_at(data, length) if data else b""
        _stores[user].store.put(name.decode(), value, ttl_ms / 1000)

    return _errno_of(put)


def _try_lock(user: int, name: bytes, lease_ms: int, lock: t.Any) -> int:
    def try_lock() -> None:
        release = _stores[user].store.try_lock(name.decode(), lease_ms / 1000)
        if release is not None:
            number = next(_numbers)
            _locks[number] = release
            lock[0] = number

    return _errno_of(try_lock)


def _unlock(_user: int, lock: int) -> None:
    failed = _errno_of(lambda: _locks.pop(lock)())
    log_to = logger() if failed else None
    message = getattr(_failure, "message", None)
    if log_to is not None and message is not None:
        text = message.value.decode("utf-8", "replace")
        log_to.warning("token store lock not released: error=%s", json.dumps(text), extra={"part": __name__})


def _describe(user: int) -> int:
    return ctypes.addressof(_stores[user].description)


def _free(user: int) -> None:
    _stores.pop(user, None)


for _function in (_get, _put, _try_lock, _unlock, _describe, _free, _error_message):
    protect_first_step(_function)

_table = _prototypes.camunda_token_store(
    ctypes.sizeof(_prototypes.camunda_token_store),
    _prototypes.camunda_token_store_get_fn(_get),
    _prototypes.camunda_token_store_put_fn(_put),
    _prototypes.camunda_token_store_try_lock_fn(_try_lock),
    _prototypes.camunda_token_store_unlock_fn(_unlock),
    _prototypes.camunda_token_store_describe_fn(_describe),
    _prototypes.camunda_token_store_free_fn(_free),
    _prototypes.camunda_token_store_error_message_fn(_error_message),
)


# The name that programs import.
TokenStore.__module__ = "camunda_admin"
