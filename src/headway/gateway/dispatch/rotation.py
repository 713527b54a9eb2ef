"""Which backends take requests now, and since when the others do not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from math import inf

from headway.engines.backend_status import BackendStatus


class Rotation:
    """Backends that are down, paused, or left alone because they fail, and since when.

    All times are seconds on the dispatcher's clock.
    """

    def __init__(self) -> None:
        self._out_since: dict[str, float] = {}
        self._models: dict[str, tuple[str, ...]] = {}
        self._down: set[str] = set()
        self._came_up: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """What those that pause wait for; a new one for each time that a backend comes up."""

    @property
    def incomplete(self) -> bool:
        """Whether some backend takes nothing now."""
        return bool(self._out_since)

    def changed(self, status: BackendStatus, now_s: float) -> None:
        """This is the status of a backend from now on."""
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
        """Wait `pause_s`, or until `backend` comes up again: whatever failed before is over."""
        came_up = self._came_up[backend]
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await came_up.wait()

    def unserved_since_s(self, model: str) -> float | None:
        """Since when no backend that has `model` takes anything; None: one does.

        A backend that has never answered may have any model.
        """
        since_s = -inf
        for name, models in self._models.items():
            if model in models or not models:
                if name not in self._out_since:
                    return None
                since_s = max(since_s, self._out_since[name])
        return since_s
