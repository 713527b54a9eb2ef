"""The arrival rate of items, from their arrivals so far."""

from __future__ import annotations

from headway.core.settings import INFINITE

FORGETTING = 1.0 - 1.0 / 128.0
"""Factor on the weight of older gaps at each arrival."""


class ArrivalRate:
    """Arrivals per second, with exponential forgetting by number of arrivals.

    A silence longer than the mean gap counts while it lasts, so the rate falls when items stop
    arriving.
    """

    __slots__ = ("_gaps", "_span_s", "last_s")

    def __init__(self) -> None:
        self._gaps = 0.0
        self._span_s = 0.0
        self.last_s = -INFINITE
        """Time of the last arrival."""

    def arrived(self, now_s: float) -> None:
        """Count an arrival."""
        if self.last_s > -INFINITE:
            self._gaps = FORGETTING * self._gaps + 1.0
            self._span_s = FORGETTING * self._span_s + (now_s - self.last_s)
        self.last_s = now_s

    def per_s(self, now_s: float) -> float:
        """The rate at `now_s`; 0 while it is unknown."""
        if self._span_s <= 0.0:
            return 0.0
        silence_s = now_s - self.last_s - self._span_s / self._gaps
        return self._gaps / (self._span_s + max(0.0, silence_s))
