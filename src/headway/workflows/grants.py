"""Tasks wait here for the resources of the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headway.core.request import Tier
from headway.workflows.definition import Needs
from headway.workflows.resources import Capacity, Resources

NOTHING = Needs()


class Grants:
    """Drives `Resources` on an event loop.

    Args:
        capacity: what the worker has.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._resources = Resources(capacity)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def held(self, tier: Tier | None, needs: Needs) -> AsyncIterator[None]:
        """While a task holds what it needs; waits until it fits.

        Raises:
            WorkflowError: the worker never has so much.
        """
        if needs == NOTHING:
            yield
            return
        rank = Tier.STANDARD if tier is None else tier
        number = self._resources.ask(int(rank), needs)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._grant()
            await self._waiting[number]
            yield
        finally:
            self._waiting.pop(number, None)
            self._resources.release(number)
            self._grant()

    def _grant(self) -> None:
        for number in self._resources.granted():
            future = self._waiting.get(number)
            if future is not None and not future.done():
                future.set_result(None)
