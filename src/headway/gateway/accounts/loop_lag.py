"""How late the event loop is: what delays every request at once."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry

from headway.gateway.accounts.counted import Histogram

EVERY_S = 0.1
"""A loop that is blocked for longer than this is always noticed."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class LoopLag:
    """Sleeps for a known time, again and again, and counts how much too late it wakes up.

    Args:
        registry: exports it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Histogram(
            "headway_event_loop_lag_seconds",
            "How late the event loop wakes a task",
            [],
            registry,
            SECONDS,
        ).labelled()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to measure; called in the event loop."""
        self._task = asyncio.create_task(self._run(), name="measure the event loop")

    async def stop(self) -> None:
        """Stop measuring."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            due_s = time.monotonic() + EVERY_S  # the loop's own clock stands still within a turn
            await asyncio.sleep(EVERY_S)
            self._lag.observe(max(0.0, time.monotonic() - due_s))
