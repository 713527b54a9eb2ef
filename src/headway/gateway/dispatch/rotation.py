"""Tracks which backends take no requests, and since when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from math import inf

from headway.engines.backend_status import BackendStatus


class Rotation:
    """Backends that take no requests because they are down, paused or failing, and since when.

    Times are seconds on the dispatcher's clock.
    """

    def __init__(self) -> None:
        self._out_since: dict[str, float] = {}
        self._statuses: dict[str, BackendStatus] = {}
        self._down: set[str] = set()
        self._came_up: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """Per backend, set when it next comes up; paused requests wait for it."""

    @property
    def incomplete(self) -> bool:
        """Whether some backend takes no requests now."""
        return bool(self._out_since)

    def changed(self, status: BackendStatus, now_s: float) -> None:
        """Record the new status of a backend."""
        self._statuses[status.name] = status
        if not status.healthy:
            self._down.add(status.name)
        elif status.name in self._down:
            self._down.remove(status.name)
            self._came_up.pop(status.name, asyncio.Event()).set()
        if status.slots:
            self._out_since.pop(status.name, None)
        else:
            self._out_since.setdefault(status.name, now_s)

    def left(self, name: str) -> None:
        """A backend is no longer there."""
        for of_backend in (self._statuses, self._out_since, self._came_up):
            of_backend.pop(name, None)
        self._down.discard(name)

    async def pause(self, backend: str, pause_s: float) -> None:
        """Wait for `pause_s`, or until `backend` comes up again after a failure."""
        came_up = self._came_up[backend]
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await came_up.wait()

    def unserved_since_s(self, lane: str) -> float | None:
        """Since when no backend that serves `lane` takes requests.

        None: one does; -inf: none serves it.
        """
        since_s = -inf
        for name, status in self._statuses.items():
            if status.may_serve(lane):
                if name not in self._out_since:
                    return None
                since_s = max(since_s, self._out_since[name])
        return since_s
