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
        self._models: dict[str, tuple[str, ...]] = {}
        self._down: set[str] = set()
        self._came_up: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """Per backend, set when it next comes up; paused requests wait for it."""

    @property
    def incomplete(self) -> bool:
        """Whether some backend takes no requests now."""
        return bool(self._out_since)

    def changed(self, status: BackendStatus, now_s: float) -> None:
        """Record the new status of a backend."""
        self._models[status.name] = status.models
        if not status.healthy:
            self._down.add(status.name)
        elif status.name in self._down:
            self._down.remove(status.name)
            self._came_up.pop(status.name, asyncio.Event()).set()
        if status.slots:
            self._out_since.pop(status.name, None)
        else:
            self._out_since.setdefault(status.name, now_s)

    async def pause(self, backend: str, pause_s: float) -> None:
        """Wait for `pause_s`, or until `backend` comes up again after a failure."""
        came_up = self._came_up[backend]
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await came_up.wait()

    def unserved_since_s(self, model: str) -> float | None:
        """Since when no backend with `model` takes requests; None: one does; -inf: none has it.

        A backend that has never answered may have any model.
        """
        since_s = -inf
        for name, models in self._models.items():
            if model in models or not models:
                if name not in self._out_since:
                    return None
                since_s = max(since_s, self._out_since[name])
        return since_s
