"""What a scheduler shows to others who share its backends."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from headway.core.backend import Backend
from headway.core.backends import Backends
from headway.core.lanes import Lanes
from headway.core.placement import permitted
from headway.core.preemption import PreemptionRule, frees_its_slot_soon
from headway.core.request import Request, Tier
from headway.core.sharing.messages import NO_SCALE, Choice, Entry, Offer
from headway.core.sharing.place import place, sortable
from headway.core.waiting import Waiting

AGEING = 0.02
LEAST_S, MOST_S = 0.01, 1.0
"""An order that changes with time is shown anew after a wait that is longer by this share, and
within these limits."""


class Standings:
    """The first waiting requests of one scheduler, and the running ones that may be stopped.

    Args:
        lanes: all waiting requests.
        backends: all running requests, and the caps on them.
        preemption: which running requests may be stopped, and the policy.
    """

    def __init__(self, lanes: Lanes, backends: Backends, preemption: PreemptionRule) -> None:
        self._lanes = lanes
        self._backends = backends
        self._preemption = preemption

    def entries(self, most: int, now_s: float) -> tuple[Entry, ...]:
        """At most `most` waiting requests of each lane: those to start next, in order."""
        found: list[Entry] = []
        for lane, queue in self._lanes.queues.items():
            serving = [one for one in self._backends.of_lane(lane) if one.slots]
            if not queue.count or not serving:
                continue
            last = ""
            for request in self._first(queue, most, now_s):
                # Its own order decides, where a place alone does not make it (see `hrrn`).
                last = max(last, self.place(request, now_s))
                choices = _choices(request, serving)
                found.append(Entry(request.id, int(request.tier), last, choices))
        return tuple(found)

    def first(self, backend: str, most: int, now_s: float) -> list[Request]:
        """At most `most` waiting requests of each lane: those to start next on a backend."""
        found: list[Request] = []
        for lane in self._backends.by_name[backend].lanes:
            queue = self._lanes.queues.get(lane)
            if queue is not None and queue.count:
                found += self._first(queue, most, now_s)
        serving = self._backends.of_lane
        return [
            one
            for one in found
            if any(backend == other.name for other in permitted(one, serving(one.lane)))
        ]

    def place(self, request: Request, now_s: float) -> str:
        """Where `request` stands in the order of all who share the backends, if it waits."""
        position = self._lanes.position(request.tier)
        rank = self._preemption.policy.rank_at(request, now_s)
        return place(request.due_s, position, rank, request.arrival_s, now_s)

    def _first(self, queue: Waiting, most: int, now_s: float) -> list[Request]:
        running = self._backends.running
        return queue.first(most, now_s, running.tier_room, running.tenant_gate)

    def offers(self, most: int, now_s: float) -> tuple[Offer, ...]:
        """At most `most` running requests that may be stopped now, the least urgent first."""
        rule, backends = self._preemption, self._backends.by_name.values()
        if not rule.possible or not any(map(self._may_yield, backends)):
            return ()
        self._backends.catch_up(backends, now_s)
        found = []
        for negated_tier, negated_rank, _, request, backend in rule.stoppable(backends, now_s):
            if request.preemptible and not frees_its_slot_soon(request, backend):
                worth = sortable(-negated_rank) + sortable(request.arrival_s)
                found.append(Offer(request.id, backend.name, -negated_tier, "", worth))
        found.sort(key=lambda offer: (offer.tier, offer.worth), reverse=True)
        return tuple(found[:most])

    def loads_us(self) -> dict[str, int]:
        """By backend: predicted time that what runs there delays a new request."""
        return {
            name: _microseconds(backend.queue_s())
            for name, backend in self._backends.by_name.items()
            if backend.running
        }

    def scale_us(self) -> int:
        """The scale of the policy, while requests wait that it matters for; else NO_SCALE."""
        tail = self._preemption.policy.tail
        if tail is None or not tail.steered or not self._lanes.backlog.requests:
            return NO_SCALE
        return _microseconds(tail.scale_s)

    def scale_of_others(self, scale_us: int) -> None:
        """The least scale of the others has changed."""
        scale_s = inf if scale_us == NO_SCALE else scale_us / 1e6
        self._preemption.policy.scale_of_others(scale_s)

    def next_change_s(self, now_s: float) -> float:
        """When `entries` or `offers` change next, if nothing happens; infinite if never."""
        lanes = self._lanes
        if not lanes.backlog.requests:
            return min(self._rested_s(now_s), default=inf)
        change_s = min(lanes.next_due_s(now_s), *self._rested_s(now_s), inf)
        if self._preemption.policy.ages:
            longest_s = max(now_s - one.arrival_s for one in self._heads(now_s))
            change_s = min(change_s, now_s + min(max(AGEING * longest_s, LEAST_S), MOST_S))
        return change_s

    def _heads(self, now_s: float) -> Iterator[Request]:
        for queue in self._lanes.queues.values():
            if queue.count:
                yield from self._first(queue, 1, now_s)

    def _rested_s(self, now_s: float) -> Iterator[float]:
        """When each running request that may be stopped at some time, but not yet, may be."""
        if not self._preemption.possible:
            return
        min_run_s = self._preemption.settings.min_run_s
        for backend in self._backends.by_name.values():
            for request in backend.running.values():
                if request.tier is not Tier.INTERACTIVE and request.preemptible:
                    rested_s = request.resumed_s + min_run_s
                    if rested_s > now_s:
                        yield rested_s

    def _may_yield(self, backend: Backend) -> bool:
        return any(one.tier is not Tier.INTERACTIVE for one in backend.running.values())


def _choices(request: Request, serving: list[Backend]) -> tuple[Choice, ...]:
    if len(serving) == 1:
        return (Choice(serving[0].name),)
    return tuple(
        Choice(
            backend.name,
            _microseconds(backend.own_s(request)),
            _microseconds(backend.adds_s(request)),
        )
        for backend in permitted(request, serving)
    )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
