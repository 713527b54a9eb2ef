"""How many requests ran and waited in the last hour."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from msgspec import Struct

from headway.core.scheduler import Scheduler

EVERY_S = 5.0
KEPT = 720
"""Points: an hour of them."""


class TrendView(Struct, kw_only=True):
    """GET /console/api/trend: lists of equal length."""

    unix_s: list[float]
    running: list[int]
    waiting: list[int]


class Trend:
    """Notes both numbers every few seconds, whether or not anybody looks."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._points: deque[tuple[float, int, int]] = deque(maxlen=KEPT)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; called in the event loop."""
        self._note()

    def stop(self) -> None:
        """Note no more."""
        if self._timer is not None:
            self._timer.cancel()

    def view(self) -> TrendView:
        """All points, the oldest first."""
        times, ran, waited = zip(*self._points, strict=True) if self._points else ((), (), ())
        return TrendView(unix_s=list(times), running=list(ran), waiting=list(waited))

    def _note(self) -> None:
        scheduler = self._scheduler
        point = round(time.time(), 1), scheduler.running(), scheduler.waiting()
        self._points.append(point)
        self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._note)
