"""Calls from asyncio: a blocking method runs in a thread, and is cancelled with its task.

    from camunda_admin import AdminClient
    from camunda_admin.aio import to_thread

    async def main() -> None:
        with AdminClient.from_env() as admin:
            cluster = admin.cluster("…")
            await asyncio.wait_for(to_thread(cluster.wait_until_healthy), timeout=600)
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from concurrent.futures import Executor
from typing import Any, Callable, Optional, TypeVar

from ._connection import Cancel
from ._errors import completed_error

__all__ = ["to_thread"]

_T = TypeVar("_T")


async def to_thread(
    function: Callable[..., _T], *args: Any, executor: Optional[Executor] = None, **kwargs: Any
) -> _T:
    """Call a method of this package in a thread, and cancel it when the task is cancelled.

    `asyncio.to_thread` leaves the thread running when its task is cancelled, by Ctrl-C or
    `asyncio.wait_for` for example, and the interpreter waits for that thread when it exits. This
    function cancels the call, waits until it has ended, which takes at most 100 ms, and then raises
    `asyncio.CancelledError`. Its `__cause__` is the exception of the call, whose `outcome` is whether a
    change was applied. If the call had completed already, it is a `CancelledError` of this package
    whose `outcome` is `completed` and whose `result` is what the method returned. None if the call was
    not started.

    Args:
        function: A method that has a parameter `cancel`, such as `admin.clusters.list`.
        *args: Its positional arguments.
        executor: The executor that provides the thread. Default: that of the event loop.
        **kwargs: Its keyword arguments, without `cancel`.

    Returns:
        What the method returns.
    """
    cancel = Cancel()
    context = contextvars.copy_context()
    started = False

    def call() -> _T:
        nonlocal started
        started = True
        try:
            return context.run(functools.partial(function, *args, cancel=cancel, **kwargs))
        except StopIteration as error:
            # A future does not accept it, and on some versions of Python it then never completes.
            raise RuntimeError("the call raised StopIteration") from error

    future = asyncio.get_running_loop().run_in_executor(executor, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError as cancelled:
        cancel.cancel()
        if started:
            while not future.done():
                try:
                    await asyncio.wait([future])
                except asyncio.CancelledError:
                    # Cancelled again, which changes nothing: the call ends within 100 ms.
                    pass
            cancelled.__cause__ = future.exception() or completed_error(
                "the call completed before its task was cancelled", result=future.result()
            )
        else:
            # It waits for a thread of the executor. If it starts all the same, it sends nothing.
            future.cancel()
        raise
