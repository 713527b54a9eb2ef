"""A fleet on virtual time: outages, repairs and cold starts end when they are due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import inf

from headway.core.fleet.fleet import Change, Fleet, ReplicaState
from headway.core.fleet.scaling import Scaling
from headway.lab.simulation.failures import Outage

WITHOUT_COST = (ReplicaState.OFF, ReplicaState.DOWN)


class Replicas:
    """The replicas of a simulated cluster, from time 0.

    Args:
        outages: of each replica, in order of time.
        scaling: when replicas start and drain. If its least equals its most, all are always on.
        slots: of one replica.
    """

    def __init__(self, outages: Sequence[Iterator[Outage]], scaling: Scaling, slots: int) -> None:
        self.next_s = inf
        """When `advance` and `adjust` have something to do, even if nothing else happens."""
        self.cold_starts = 0
        self.on_spans: list[tuple[int, float, float]] = []
        """Replica, from, to: when it was on, its starting included."""
        self.starting_spans: list[tuple[int, float, float]] = []
        """Replica, from, to: when it was starting."""
        self._fleet = Fleet(len(outages), scaling, slots)
        self._outages = list(outages)
        self._cold_start_s = scaling.cold_start_s
        self._on_since_s = [0.0] * len(outages)
        self._down_until_s = [0.0] * len(outages)
        self._ready_s = [inf] * len(outages)
        self._timers: list[tuple[float, int, float]] = []
        """Time, replica, and how long it will be down; 0: it may be repaired or ready."""
        for number in range(len(outages)):
            self._await_outage(number)
        self._look_ahead()

    @property
    def states(self) -> Sequence[ReplicaState]:
        """The state of each replica."""
        return self._fleet.states

    @property
    def fixed(self) -> bool:
        """Whether nothing will ever change."""
        return not self._timers and not self._fleet.scales

    def advance(self, now_s: float) -> list[Change]:
        """Outages, repairs and cold starts that are due."""
        changes: list[Change] = []
        while self._timers and self._timers[0][0] <= now_s:
            at_s, number, down_s = heappop(self._timers)
            found: list[Change] = []
            if down_s:
                until_s = max(self._down_until_s[number], at_s + down_s)
                self._down_until_s[number] = until_s
                heappush(self._timers, (until_s, number, 0.0))
                self._await_outage(number)
                found = self._fleet.failed(number)
            elif self.states[number] is ReplicaState.DOWN:
                if self._down_until_s[number] <= now_s:
                    found = self._fleet.repaired(number)
            elif self._ready_s[number] <= now_s:
                found = self._fleet.ready(number)
            self._record(found, now_s)
            changes += found
        self._look_ahead()
        return changes

    def adjust(
        self, now_s: float, waiting: int, waiting_s: float, running: Sequence[int]
    ) -> list[Change]:
        """Start and drain replicas to suit the work: see `Fleet.adjust`."""
        changes = self._fleet.adjust(now_s, waiting, waiting_s, running)
        self._record(changes, now_s)
        for change in changes:
            if change.state is ReplicaState.STARTING:
                self.cold_starts += 1
                ready_s = self._ready_s[change.replica] = now_s + self._cold_start_s
                heappush(self._timers, (ready_s, change.replica, 0.0))
        self._look_ahead()
        return changes

    def close(self, now_s: float) -> None:
        """Complete `on_spans` and `starting_spans` at the end of a run."""
        for number, state in enumerate(self.states):
            if state is ReplicaState.STARTING:
                self.starting_spans.append((number, self._on_since_s[number], now_s))
        for number, state in enumerate(self.states):
            if state not in WITHOUT_COST:
                self.on_spans.append((number, self._on_since_s[number], now_s))

    def _record(self, changes: Sequence[Change], now_s: float) -> None:
        for change in changes:
            number = change.replica
            if change.before is ReplicaState.STARTING:
                self.starting_spans.append((number, self._on_since_s[number], now_s))
            if change.before in WITHOUT_COST:
                self._on_since_s[number] = now_s
            elif change.state in WITHOUT_COST:
                self.on_spans.append((number, self._on_since_s[number], now_s))

    def _await_outage(self, number: int) -> None:
        outage = next(self._outages[number], None)
        if outage is not None:
            heappush(self._timers, (outage.at_s, number, outage.for_s))

    def _look_ahead(self) -> None:
        self.next_s = self._fleet.next_s
        if self._timers and self._timers[0][0] < self.next_s:
            self.next_s = self._timers[0][0]
