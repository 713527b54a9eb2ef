"""Threads in which plain functions run as steps."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

MOST_THREADS = 64
"""Plain functions that run at a time; others wait. They have threads of their own, so that they
keep nothing else waiting, such as the names of servers that are looked up."""

Result = TypeVar("Result")

_threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="headway-task")


async def in_thread(function: Callable[[], Result]) -> Result:
    """What `function` returns, from a thread.

    Nothing can stop it: if this is cancelled, it ends once the function has, so that whoever
    cancelled it does not run it a second time meanwhile.

    Raises:
        Exception: what it raises.
    """
    context = contextvars.copy_context()
    work = _threads.submit(context.run, function)
    ended: asyncio.Future[Any] = asyncio.wrap_future(work)
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        if not work.cancel():
            await asyncio.wait([ended])
            if not ended.cancelled():
                ended.exception()
        raise
