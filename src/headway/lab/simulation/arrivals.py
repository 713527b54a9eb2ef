"""When each request of a trace comes: at its time, or some time after others have ended."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf

import numpy as np

from headway.lab.simulation.trace import Trace


class Arrivals:
    """The requests of a trace that have not come yet."""

    def __init__(self, trace: Trace) -> None:
        self.running = int((trace.produced_tokens >= 0).sum())
        """How many run when the trace begins: the first ones."""
        self._trace = trace
        self._arrival_s = trace.arrival_s.tolist()
        waits = trace.after >= 0 if len(trace.after) else np.zeros(len(trace), bool)
        self._free: list[int] = np.flatnonzero(~waits).tolist()
        """Requests that wait for no other's end."""
        self._came = self.running
        """How many of the free ones have come."""
        self._released: list[tuple[float, int]] = []
        """Requests of sessions, of which the one before has ended."""
        self._missing = [1 + len(joined) for joined in trace.joins]
        """How many requests each still waits for, where branches of a run meet."""
        self.next_s = inf
        """When the next one comes, as far as that is known."""
        self._look()

    def due(self, now_s: float) -> list[int]:
        """Those that come by now, once each: first those that wait for no other."""
        found = []
        while self._came < len(self._free) and self._arrival_s[self._free[self._came]] <= now_s:
            found.append(self._free[self._came])
            self._came += 1
        while self._released and self._released[0][0] <= now_s:
            found.append(heappop(self._released)[1])
        self._look()
        return found

    def ended(self, number: int, now_s: float) -> None:
        """A request has ended: those that follow it come after their gaps."""
        for follower in self._trace.followers.get(number, ()):
            if self._missing:
                self._missing[follower] -= 1
                if self._missing[follower]:
                    continue
            heappush(self._released, (now_s + float(self._trace.gap_s[follower]), follower))
        if self._released:
            self.next_s = min(self.next_s, self._released[0][0])

    def _look(self) -> None:
        came, free = self._came, self._free
        next_s = self._arrival_s[free[came]] if came < len(free) else inf
        self.next_s = min(next_s, self._released[0][0]) if self._released else next_s
