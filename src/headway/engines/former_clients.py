"""Clients of a backend that take no new requests, and still have some in flight."""

from __future__ import annotations

import asyncio

from headway.engines.activity import Activity
from headway.engines.engine import Engine


class FormerClients:
    """Closes each client once nothing is in flight over it."""

    def __init__(self) -> None:
        self._kept: list[tuple[Engine, Activity]] = []
        self._closing: set[asyncio.Task[None]] = set()

    def add(self, engine: Engine, activity: Activity) -> None:
        """`engine` gets no new requests; `activity` is what flows over it."""
        self._kept.append((engine, activity))
        self.close_idle()

    def close_idle(self) -> None:
        """Close those with nothing in flight."""
        for engine, activity in self._kept:
            if not activity.in_flight:
                self._close(engine)
        self._kept = [one for one in self._kept if one[1].in_flight]

    async def close(self) -> None:
        """Close all, whatever is in flight."""
        for engine, _ in self._kept:
            self._close(engine)
        self._kept = []
        await asyncio.gather(*self._closing)

    def _close(self, engine: Engine) -> None:
        task = asyncio.get_running_loop().create_task(engine.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
