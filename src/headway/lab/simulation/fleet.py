"""Which replicas are on: outages, repairs, cold starts and scaling, as a state machine.

Like the scheduler it does nothing itself: it is told the time and the work, and says what changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from math import inf

from headway.lab.simulation.failures import Outage
from headway.lab.simulation.scaling import Scaling


class ReplicaState(Enum):
    """What a replica is doing."""

    OFF = "off"
    STARTING = "starting"
    ON = "on"
    DRAINING = "draining"
    """It ends what it has and takes nothing new."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Change:
    """A replica, by number, is in another state from now on."""

    replica: int
    state: ReplicaState


class Fleet:
    """The replicas of a cluster and their states. Time begins at 0, with the least of them on.

    Args:
        outages: of each replica, in order.
        scaling: when replicas start and drain. Where its least is its most, all are always on.
        slots: of one replica.
    """

    def __init__(self, outages: Sequence[Iterator[Outage]], scaling: Scaling, slots: int) -> None:
        self.states = [ReplicaState.OFF] * len(outages)
        self.next_s = inf
        """When `advance` and `adjust` have something to do, even if nothing else happens."""
        self.cold_starts = 0
        self.on_spans: list[tuple[int, float, float]] = []
        """Replica, from, to: when it was on, its starting included."""
        self.starting_spans: list[tuple[int, float, float]] = []
        """Replica, from, to: when it was starting."""
        self._outages = list(outages)
        self._scaling = scaling
        self._slots = slots
        self._on_since_s = [0.0] * len(outages)
        self._down_until_s = [0.0] * len(outages)
        self._ready_s = [inf] * len(outages)
        self._spare_since_s = inf
        self._timers: list[tuple[float, int, float]] = []
        """Time, replica, and how long it will be down; 0: it may be repaired or ready."""
        for number in range(len(outages)):
            self._await_outage(number)
        for number in range(scaling.least):
            self.states[number] = ReplicaState.ON
        self._look_ahead()

    @property
    def fixed(self) -> bool:
        """Whether nothing will ever change."""
        return not self._timers and self._scaling.least == len(self.states)

    def advance(self, now_s: float) -> list[Change]:
        """Outages, repairs and cold starts that are due."""
        changes: list[Change] = []
        while self._timers and self._timers[0][0] <= now_s:
            at_s, number, down_s = heappop(self._timers)
            state = self.states[number]
            if down_s:
                until_s = self._down_until_s[number] = max(
                    self._down_until_s[number], at_s + down_s
                )
                heappush(self._timers, (until_s, number, 0.0))
                self._await_outage(number)
                if state is not ReplicaState.DOWN:
                    self._set(number, ReplicaState.DOWN, now_s, changes)
            elif state is ReplicaState.DOWN and self._down_until_s[number] <= now_s:
                self._set(number, ReplicaState.OFF, now_s, changes)
            elif state is ReplicaState.STARTING and self._ready_s[number] <= now_s:
                self._set(number, ReplicaState.ON, now_s, changes)
        self._look_ahead()
        return changes

    def adjust(
        self, now_s: float, waiting: int, waiting_s: float, running: Sequence[int]
    ) -> list[Change]:
        """Start, drain and switch off as the work wants it. Call it when that has changed.

        Args:
            now_s: the time.
            waiting: requests that wait.
            waiting_s: their predicted service time.
            running: requests on each replica.
        """
        changes: list[Change] = []
        for number, state in enumerate(self.states):
            if state is ReplicaState.DRAINING and not running[number]:
                self._set(number, ReplicaState.OFF, now_s, changes)
        on = self._in(ReplicaState.ON, ReplicaState.STARTING)
        requests = waiting + sum(running[number] for number in on)
        work = len(on), self._slots, requests, waiting_s
        missing = self._scaling.wanted(*work) - len(on)
        # Whoever drains is there at once.
        draining, off = self._in(ReplicaState.DRAINING), self._in(ReplicaState.OFF)
        for number in (draining + off)[:missing]:
            self._start(number, now_s, changes)
        if not self._scaling.spare(*work):
            self._spare_since_s = inf
        elif self._spare_since_s == inf:
            self._spare_since_s = now_s
        if now_s >= self._spare_since_s + self._scaling.idle_s:
            self._spare_since_s = now_s
            ready = self._in(ReplicaState.ON)
            if ready:
                least = min(reversed(ready), key=running.__getitem__)
                state = ReplicaState.DRAINING if running[least] else ReplicaState.OFF
                self._set(least, state, now_s, changes)
        self._look_ahead()
        return changes

    def close(self, now_s: float) -> None:
        """The run is over: `on_spans` and `starting_spans` are complete."""
        for number in self._in(ReplicaState.STARTING):
            self.starting_spans.append((number, self._on_since_s[number], now_s))
        for number in self._in(ReplicaState.STARTING, ReplicaState.ON, ReplicaState.DRAINING):
            self.on_spans.append((number, self._on_since_s[number], now_s))

    def _start(self, number: int, now_s: float, changes: list[Change]) -> None:
        cold = self._scaling.cold_start_s and self.states[number] is ReplicaState.OFF
        if not cold:
            self._set(number, ReplicaState.ON, now_s, changes)
            return
        self.cold_starts += 1
        self._ready_s[number] = now_s + self._scaling.cold_start_s
        heappush(self._timers, (self._ready_s[number], number, 0.0))
        self._set(number, ReplicaState.STARTING, now_s, changes)

    def _set(self, number: int, state: ReplicaState, now_s: float, changes: list[Change]) -> None:
        without = (ReplicaState.OFF, ReplicaState.DOWN)
        before, self.states[number] = self.states[number], state
        if before is ReplicaState.STARTING:
            self.starting_spans.append((number, self._on_since_s[number], now_s))
        if before in without:
            self._on_since_s[number] = now_s
        elif state in without:
            self.on_spans.append((number, self._on_since_s[number], now_s))
        changes.append(Change(number, state))

    def _in(self, *states: ReplicaState) -> list[int]:
        return [number for number, state in enumerate(self.states) if state in states]

    def _await_outage(self, number: int) -> None:
        outage = next(self._outages[number], None)
        if outage is not None:
            heappush(self._timers, (outage.at_s, number, outage.for_s))

    def _look_ahead(self) -> None:
        self.next_s = self._spare_since_s + self._scaling.idle_s
        if self._timers and self._timers[0][0] < self.next_s:
            self.next_s = self._timers[0][0]
