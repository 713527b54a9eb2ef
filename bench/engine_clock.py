"""A clock that runs with the engine's own work: neighbours on the machine do not move it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from pathlib import Path

EVERY_S = 0.004
CHILD = b"headway.engines.llama_child"


class EngineClock:
    """CPU time of an engine over its threads, by moments of `time.monotonic`.

    While the engine works it advances as fast as real time does on a machine that has nothing else
    to do. While it waits, or others have its cores, it stands still.

    Args:
        pid: of the engine.
        threads: number of its threads that compute.
    """

    def __init__(self, pid: int, threads: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._threads = threads
        self._at_s: list[float] = []
        self._worked_s: list[float] = []

    def between(self, from_s: float, to_s: float) -> float:
        """Its seconds between two moments."""
        return self._reading(to_s) - self._reading(from_s)

    def _reading(self, at_s: float) -> float:
        right = min(max(1, bisect_left(self._at_s, at_s)), len(self._at_s) - 1)
        (x0, x1), (y0, y1) = (
            values[right - 1 : right + 1] for values in (self._at_s, self._worked_s)
        )
        return y0 + (y1 - y0) * min(1.0, max(0.0, (at_s - x0) / (x1 - x0)))

    def _read(self) -> None:
        total_ns = 0
        for task in self._tasks.iterdir():
            with contextlib.suppress(OSError):  # the thread has ended
                total_ns += int((task / "schedstat").read_text().split()[0])
        self._at_s.append(time.monotonic())
        # Threads that end take their time along: the clock never goes back.
        worked_s = total_ns / 1e9 / self._threads
        self._worked_s.append(max(worked_s, self._worked_s[-1] if self._worked_s else 0.0))

    async def _sample(self) -> None:
        while True:
            self._read()
            await asyncio.sleep(EVERY_S)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[EngineClock]:
        """Read it all the time."""
        sampling = asyncio.create_task(self._sample())
        try:
            yield self
        finally:
            self._read()
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)


def engine_of(gateway: int) -> int:
    """The process id of the embedded engine of a gateway."""
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{gateway}\n" not in status.read_text():
                continue
            if CHILD in (status.parent / "cmdline").read_bytes():
                return int(status.parent.name)
    raise LookupError(f"process {gateway} has no embedded engine")
