"""How fast waiting work is begun."""

from __future__ import annotations

from collections import deque

OVER = 4096
"""Starts. Over few of them it would depend on who is preferred just now: as long ones begin, more
work is begun than done."""
SETTLED = 64
LONGEST_GAP = 16.0
"""A longer time between two starts, in multiples of the mean, counts as this: after a night without
requests, or a jump of the clock, work is not done more slowly than before."""


class DrainRate:
    """Seconds of work begun in a second, over the last starts."""

    __slots__ = ("_gaps_s", "_last_s", "_starts", "_work_s")

    def __init__(self) -> None:
        self._starts: deque[tuple[float, float]] = deque()
        """Seconds since the start before, and work."""
        self._gaps_s = self._work_s = 0.0
        self._last_s: float | None = None

    def began(self, work_s: float, now_s: float) -> None:
        """A request with so much work starts."""
        last_s, self._last_s = self._last_s, now_s
        if last_s is None:
            return
        gap_s, count = max(0.0, now_s - last_s), len(self._starts)
        if count >= SETTLED:
            gap_s = min(gap_s, LONGEST_GAP * self._gaps_s / count)
        self._starts.append((gap_s, work_s))
        self._gaps_s += gap_s
        self._work_s += work_s
        if count >= OVER:
            gap_s, work_s = self._starts.popleft()
            self._gaps_s = max(0.0, self._gaps_s - gap_s)
            self._work_s = max(0.0, self._work_s - work_s)

    def time_s(self, work_s: float) -> float:
        """How long it takes until so much work is begun; 0 while nothing is known."""
        return work_s * self._gaps_s / self._work_s if self._work_s > 0.0 else 0.0
