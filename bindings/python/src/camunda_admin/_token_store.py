"""Token stores of the program's own."""

import abc
import ctypes
import errno
import itertools
import logging
from ctypes import byref, c_void_p
from typing import Any, Callable, Dict, NamedTuple, Optional

from . import _prototypes
from ._callbacks import guard, keep
from ._native_handle import check
from ._native import lib

__all__ = ["TokenStore", "use_store"]


class TokenStore(abc.ABC):
    """Where processes or machines share tokens, as `token_cache` of an `AdminClient`.

    What is kept are small values (a few kilobytes) under short names of small letters, digits and
    `-`. Both are safe to show: names are digests, and values with a token in them are sealed with a
    key that is derived from the client secret.

    The methods are called by many threads at once, and in forked children. None should block for
    longer than a caller would like to wait, a quarter of a second, say. What one of them raises fails
    no call: the library does not lock, does not read or does not write for 30 s, whichever failed;
    after an `OSError` such as `TimeoutError` or `ConnectionError`, none of the three.
    (`KeyboardInterrupt` and its like end the call, as everywhere.)
    """

    @abc.abstractmethod
    def get(self, name: str) -> Optional[bytes]:
        """The value last put under `name`; `None` where there is none, or none any more."""

    @abc.abstractmethod
    def put(self, name: str, value: bytes, keep: float) -> None:
        """Keeps a value instead of the one before; a reader sees either of them whole. After `keep`
        seconds it is of no use any more and may go.
        """

    @abc.abstractmethod
    def try_lock(self, name: str, lease: float) -> Optional[Callable[[], object]]:
        """Takes the lock of `name`, without waiting: answers what releases it, on whatever thread, or
        `None` where someone else has it.

        If the owner dies without releasing it, the store does: at once where it can tell, after
        `lease` seconds where it cannot. Locks and values are apart, even where their names are the
        same.
        """

    def describe(self) -> str:
        """What it is and where, for logs and diagnostics; without passwords."""
        return "the program's own store"


def use_store(config: Optional[int], store: TokenStore) -> None:
    """Makes settings keep tokens in a store."""
    number = next(_numbers)
    _stores[number] = _Kept(store, ctypes.create_string_buffer(store.describe().encode()))
    error = c_void_p()
    try:
        status = lib.camunda_config_set_token_store(config, byref(_table), number, byref(error))
        check(status, error)
    except BaseException:
        del _stores[number]
        raise


class _Kept(NamedTuple):
    store: TokenStore
    description: "ctypes.Array[ctypes.c_char]"


# C gets numbers, and these tables say what they stand for: nothing is collected while C has it.
_stores: Dict[int, _Kept] = {}
_locks: Dict[int, Callable[[], object]] = {}
_numbers = itertools.count(1)

_logger = logging.getLogger("camunda_admin")


def _number_of(body: Callable[[], object]) -> int:
    """0, or the number of what was raised as C knows it."""
    try:
        body()
        return 0
    except Exception as error:
        _logger.debug("the token store failed", exc_info=True)
        number = error.errno if isinstance(error, OSError) else None
        if number is not None and number > 0:
            return number
        if isinstance(error, TimeoutError):
            return errno.ETIMEDOUT
        return errno.ECONNRESET if isinstance(error, ConnectionError) else errno.EIO
    except BaseException as error:
        keep(error)
        return errno.EINTR


def _get(user: int, name: bytes, write: Any, value: int) -> int:
    def get() -> None:
        found = _stores[user].store.get(name.decode())
        if found is not None:
            write(value, bytes(found), len(found))

    return _number_of(get)


def _put(user: int, name: bytes, data: Optional[int], length: int, ttl_ms: int) -> int:
    def put() -> None:
        value = ctypes.string_at(data, length) if data else b""
        _stores[user].store.put(name.decode(), value, ttl_ms / 1000)

    return _number_of(put)


def _try_lock(user: int, name: bytes, lease_ms: int, lock: Any) -> int:
    def try_lock() -> None:
        release = _stores[user].store.try_lock(name.decode(), lease_ms / 1000)
        if release is not None:
            number = next(_numbers)
            _locks[number] = release
            lock[0] = number

    return _number_of(try_lock)


def _unlock(_user: int, lock: int) -> None:
    _number_of(lambda: _locks.pop(lock)())


def _describe(user: int) -> int:
    return ctypes.addressof(_stores[user].description)


def _free(user: int) -> None:
    _stores.pop(user, None)


for _function in (_get, _put, _try_lock, _unlock, _describe, _free):
    guard(_function)

_table = _prototypes.camunda_token_store(
    ctypes.sizeof(_prototypes.camunda_token_store),
    _prototypes.camunda_token_store_get_fn(_get),
    _prototypes.camunda_token_store_put_fn(_put),
    _prototypes.camunda_token_store_try_lock_fn(_try_lock),
    _prototypes.camunda_token_store_unlock_fn(_unlock),
    _prototypes.camunda_token_store_describe_fn(_describe),
    _prototypes.camunda_token_store_free_fn(_free),
)
