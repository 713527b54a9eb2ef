"""Which replicas of an engine are on, as a state machine.

Like the scheduler it does nothing itself: it takes events with their time, and returns the changes
that the caller has to carry out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf

from headway.core.fleet.scaling import Scaling


class ReplicaState(Enum):
    """What a replica is doing."""

    OFF = "off"
    STARTING = "starting"
    ON = "on"
    DRAINING = "draining"
    """It finishes the requests that it has and takes no new ones."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Change:
    """A replica, by number, goes from one state to another."""

    replica: int
    before: ReplicaState
    state: ReplicaState


class Fleet:
    """The replicas of one engine and their states.

    Events: `adjust` whenever the work has changed, and at `next_s`; `ready`, `failed` and
    `repaired` when that happens to a replica.

    Args:
        replicas: how many there are; at first `scaling.least` of them are on.
        scaling: when replicas start and drain.
        slots: of one replica.
    """

    def __init__(self, replicas: int, scaling: Scaling, slots: int) -> None:
        self.states = [ReplicaState.OFF] * replicas
        self._scaling = scaling
        self._slots = slots
        self._spare_since_s = inf
        for number in range(scaling.least):
            self.states[number] = ReplicaState.ON

    @property
    def next_s(self) -> float:
        """When `adjust` has something to do even if no other event comes; inf: never."""
        return self._spare_since_s + self._scaling.idle_s

    @property
    def scales(self) -> bool:
        """Whether `adjust` may ever change anything while no replica fails."""
        return self._scaling.least < len(self.states)

    def ready(self, number: int) -> list[Change]:
        """A replica that was starting can take requests. No change if it is not starting."""
        if self.states[number] is not ReplicaState.STARTING:
            return []
        return [self._set(number, ReplicaState.ON)]

    def failed(self, number: int) -> list[Change]:
        """A replica is down, and what it held is lost. No change if it is down already."""
        if self.states[number] is ReplicaState.DOWN:
            return []
        return [self._set(number, ReplicaState.DOWN)]

    def repaired(self, number: int) -> list[Change]:
        """A replica that was down can be started again. No change if it is not down."""
        if self.states[number] is not ReplicaState.DOWN:
            return []
        return [self._set(number, ReplicaState.OFF)]

    def adjust(
        self, now_s: float, waiting: int, waiting_s: float, running: Sequence[int]
    ) -> list[Change]:
        """Start, drain and switch off replicas to suit the work.

        Args:
            now_s: the time.
            waiting: number of waiting requests.
            waiting_s: their predicted service time.
            running: number of requests on each replica.
        """
        changes: list[Change] = []
        for number, state in enumerate(self.states):
            if state is ReplicaState.DRAINING and not running[number]:
                changes.append(self._set(number, ReplicaState.OFF))
        on = self._in(ReplicaState.ON, ReplicaState.STARTING)
        requests = waiting + sum(running[number] for number in on)
        work = len(on), self._slots, requests, waiting_s
        missing = self._scaling.wanted(*work) - len(on)
        # Draining replicas first: they take requests again at once.
        draining, off = self._in(ReplicaState.DRAINING), self._in(ReplicaState.OFF)
        for number in (draining + off)[:missing]:
            cold = self._scaling.cold_start_s and self.states[number] is ReplicaState.OFF
            state = ReplicaState.STARTING if cold else ReplicaState.ON
            changes.append(self._set(number, state))
        if not self._scaling.spare(*work):
            self._spare_since_s = inf
        elif self._spare_since_s == inf:
            self._spare_since_s = now_s
        if now_s >= self.next_s:
            self._spare_since_s = now_s
            ready = self._in(ReplicaState.ON)
            if ready:
                least = min(reversed(ready), key=running.__getitem__)
                state = ReplicaState.DRAINING if running[least] else ReplicaState.OFF
                changes.append(self._set(least, state))
        return changes

    def _set(self, number: int, state: ReplicaState) -> Change:
        change = Change(number, self.states[number], state)
        self.states[number] = state
        return change

    def _in(self, *states: ReplicaState) -> list[int]:
        return [number for number, state in enumerate(self.states) if state in states]
