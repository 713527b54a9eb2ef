"""Work on the event loop in slices, with pauses in which it does other things."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

SLICE = 250
"""Requests that are looked at without a pause: less than a millisecond."""


class Slices:
    """Measures what a task takes of the event loop, without its pauses."""

    def __init__(self) -> None:
        self._spent_s = 0.0
        self._began_s = time.perf_counter()

    async def pause(self) -> None:
        """Let the event loop do other things."""
        self._spent_s += time.perf_counter() - self._began_s
        await asyncio.sleep(0)
        self._began_s = time.perf_counter()

    def spent_s(self) -> float:
        """What was taken so far."""
        return self._spent_s + time.perf_counter() - self._began_s


def sliced(whole: list[T]) -> Iterator[list[T]]:
    """`whole` in pieces, between which to pause."""
    for start in range(0, len(whole), SLICE):
        yield whole[start : start + SLICE]
