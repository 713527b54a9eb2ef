"""Answers that Redis did not take when they were given: they are offered until it does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from redis.exceptions import RedisError

MOST_BYTES = 64 * 2**20
"""Of all of them; the oldest go first."""


class _Late(NamedTuple):
    bytes: int
    until_s: float
    offer: Callable[[float], Awaitable[object]]


class LateAnswers:
    """Offers answers again and again, one after the other.

    Args:
        every_s: how often, while Redis takes none.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._waiting: deque[_Late] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, bytes: int, keep_s: float, offer: Callable[[float], Awaitable[object]]) -> None:
        """Offer an answer of that size from now on, for `keep_s` at most.

        Args:
            bytes: of the answer.
            keep_s: how long it is to be kept.
            offer: passes it to Redis, to be kept for the time that is left; raises RedisError or
                OSError where that does not take it.
        """
        until_s = asyncio.get_running_loop().time() + keep_s
        self._waiting.append(_Late(bytes, until_s, offer))
        while sum(one.bytes for one in self._waiting) > MOST_BYTES:
            self._waiting.popleft()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="late answers")

    def close(self) -> None:
        """Offer none any more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        while self._waiting:
            late = self._waiting.popleft()
            try:
                if (left_s := late.until_s - now()) > 0.0:
                    await late.offer(left_s)
            except (RedisError, OSError):
                self._waiting.append(late)
                await asyncio.sleep(self._every_s)
