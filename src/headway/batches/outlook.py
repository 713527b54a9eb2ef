"""When the lines of batches may begin, and with that when batches end."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from math import inf

from headway.batches.batch import Batch
from headway.batches.serving import Serving
from headway.daily_hours import ZonedHours

MOST_DAYS = 400
"""How far ahead an end is predicted, where lines begin at some hours only."""


class Outlook:
    """Knows when lines may begin. Times are seconds since 1970.

    Args:
        window: when they may, as "22:00-06:00 Europe/Berlin"; empty: always.
        serving: knows who has spent a budget, and whether a model's backends are there.
    """

    def __init__(self, window: str, serving: Serving) -> None:
        self._window = window
        self._hours = ZonedHours.parse(window) if window else None
        self._serving = serving

    def waits(self, batch: Batch, now: float) -> str:
        """Why no lines of this batch begin now; empty: they may, or somebody paused it."""
        if self._hours is not None and not self._hours.include(now):
            return f"lines begin at {self._window}"
        pause = self._serving.pause(batch.owner, batch.key_name)
        if pause is not None:
            return pause.why
        return "" if self._runs(batch) else f"this gateway has no backend for {batch.model!r} now"

    def ends_at(self, batch: Batch, work_s: float, now: float) -> float | None:
        """When a batch ends that takes `work_s` more.

        None: it is paused, or no backend is there, or that is not known.
        """
        if batch.paused_at is not None or work_s <= 0.0 or not self._runs(batch):
            return None
        for begins, ends in islice(self._openings(batch, now), MOST_DAYS):
            if work_s <= ends - begins:
                return begins + work_s
            work_s -= ends - begins
        return None

    def slack_s(self, batch: Batch, work_s: float, now: float) -> float:
        """Seconds in which lines may begin until a batch expires, beside the `work_s` it takes.

        One that is paused, or waits for a backend, is taken to go on now.
        """
        slack_s = -work_s
        for begins, ends in self._openings(batch, now):
            if begins >= batch.expires_at:
                break
            slack_s += min(ends, batch.expires_at) - begins
        return slack_s

    def _runs(self, batch: Batch) -> bool:
        """Whether a backend is there for its lines, as soon as they are read."""
        return batch.model is None or self._serving.room(batch.endpoint, batch.model) > 0

    def _openings(self, batch: Batch, now: float) -> Iterable[tuple[float, float]]:
        """From when until when its lines may begin, from now on."""
        pause = self._serving.pause(batch.owner, batch.key_name)
        begins = now if pause is None else max(now, pause.until)
        return self._hours.openings(begins) if self._hours else ((begins, inf),)
