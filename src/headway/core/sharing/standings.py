"""What a scheduler shows to others who share its backends."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from headway.core.backend import Backend
from headway.core.backends import Backends
from headway.core.exchange import Exchange
from headway.core.lanes import Lanes
from headway.core.placement import permitted
from headway.core.preemption import PreemptionRule, frees_its_slot_soon
from headway.core.request import Request, Tier
from headway.core.sharing.messages import NO_SCALE, Choice, Entry, Offer
from headway.core.sharing.place import place, sortable
from headway.core.takeover import Takeovers
from headway.core.waiting import Waiting

AGEING = 0.003
LEAST_S, MOST_S = 0.003, 1.0
"""An order that changes with time is shown anew after a wait that is longer by this share, and
within these limits."""


class Standings:
    """The first waiting requests of one scheduler, and the running ones that may be stopped.

    Args:
        lanes: all waiting requests.
        backends: all running requests, and the caps on them.
        preemption: which running requests may be stopped, and the policy.
        takeovers: which of them do yield here.
    """

    def __init__(
        self, lanes: Lanes, backends: Backends, preemption: PreemptionRule, takeovers: Takeovers
    ) -> None:
        self._lanes = lanes
        self._backends = backends
        self._preemption = preemption
        self._takeovers = takeovers

    def entries(self, most: int, now_s: float) -> tuple[Entry, ...]:
        """At most `most` waiting requests of each lane: those to start next, in order."""
        found: list[Entry] = []
        for lane, queue in self._lanes.queues.items():
            serving = [one for one in self._backends.of_lane(lane) if one.slots and one.shared]
            if not queue.count or not serving:
                continue
            for request, where in self._placed(queue, most, now_s):
                choices = _choices(request, serving)
                asks = self._takeovers.may_look(lane, request, now_s)
                found.append(Entry(request.id, int(request.tier), where, choices, asks))
        return tuple(found)

    def placed(self, backend: str, most: int, now_s: float) -> list[tuple[Request, str]]:
        """At most `most` waiting requests of each lane, those to start next on a backend, and their
        places."""
        found: list[tuple[Request, str]] = []
        for lane in self._backends.by_name[backend].lanes:
            queue = self._lanes.queues.get(lane)
            if queue is not None and queue.count:
                serving = self._backends.of_lane(lane)
                for request, where in self._placed(queue, most, now_s):
                    if any(backend == one.name for one in permitted(request, serving)):
                        found.append((request, where))
        return found

    def _placed(self, queue: Waiting, most: int, now_s: float) -> Iterator[tuple[Request, str]]:
        running, positions = self._backends.running, self._lanes.positions()
        last = ""
        for rank, request in queue.first(most, now_s, running.tier_room, running.tenant_gate):
            position = positions[request.tier]
            # Its own order decides, where a place alone does not make it (see `hrrn`).
            last = max(last, place(request.due_s, position, rank, request.arrival_s, now_s))
            yield request, last

    def offers(self, most: int, now_s: float) -> tuple[Offer, ...]:
        """At most `most` running requests that may be stopped now, the least urgent first."""
        rule = self._preemption
        backends = [one for one in self._backends.by_name.values() if one.shared]
        if not rule.possible or not any(map(self._may_yield, backends)):
            return ()
        self._backends.catch_up(backends, now_s)
        exchanges, positions = self._exchanges(), self._lanes.positions()
        found: list[Offer] = []
        for negated_tier, negated_rank, _, request, backend in sorted(
            rule.stoppable(backends, now_s)
        ):
            if len(found) == most:
                break
            if request.preemptible and not frees_its_slot_soon(request, backend):
                worth = sortable(-negated_rank) + sortable(request.arrival_s)
                bar = self._bar(request, backend, exchanges, positions[request.tier])
                found.append(Offer(request.id, backend.name, -negated_tier, bar, worth))
        return tuple(found)

    def _exchanges(self) -> dict[str, Exchange]:
        """By lane, for a policy by length that preempts."""
        policy = self._preemption.policy
        if not (policy.preemptive and policy.by_length):
            return {}
        return {
            name: Exchange(policy, queue, self._backends.of_lane(name))
            for name, queue in self._lanes.queues.items()
        }

    def _bar(
        self, running: Request, backend: Backend, exchanges: dict[str, Exchange], position: int
    ) -> str:
        """The place that a waiting request of its tier must be before; empty: none is."""
        policy = self._preemption.policy
        rank = self._preemption.bar(running, backend)
        if policy.by_length and rank is not None:
            # Only where the rank is the size: half of it is that of a request that is worth a stop.
            exchange, half_s = exchanges.get(running.lane), policy.size_s(running) / 2.0
            if exchange is None or policy.rank(running) != 2.0 * half_s:
                return ""
            if not exchange.pays_for_one_elsewhere(running, backend, half_s):
                return ""
            rank = half_s
        if rank is None:
            return ""
        return f"1{position}" + sortable(rank) + "0" * 16

    def loads_us(self) -> dict[str, int]:
        """By backend: predicted time that what runs there delays a new request."""
        return {
            name: _microseconds(backend.queue_s())
            for name, backend in self._backends.by_name.items()
            if backend.running and backend.shared
        }

    def scale_us(self) -> int:
        """The scale of the policy, while there are requests that it was found by; else NO_SCALE."""
        tail = self._preemption.policy.tail
        if tail is None or not tail.steered or not tail.live:
            return NO_SCALE
        return _microseconds(tail.scale_s)

    def use_scale(self, scale_us: int) -> None:
        """All who share the backends order by this scale; NO_SCALE: by its own."""
        self._preemption.policy.use_scale(None if scale_us == NO_SCALE else scale_us / 1e6)

    def hold_back(self, request_ids: frozenset[str]) -> None:
        """Running requests of others yield for these, so none here does."""
        self._takeovers.held_back = request_ids

    def next_change_s(self, now_s: float) -> float:
        """When to look for changes of `entries` and `offers` if nothing happens; infinite if
        never."""
        # As often as takeovers are looked for: sooner, and more requests would be stopped.
        rested_s = now_s + max(0.01, self._preemption.settings.min_run_s)
        change_s = rested_s if self._some_rest_later(now_s) else inf
        if not self._lanes.backlog.requests:
            return change_s
        if self._preemption.possible:
            change_s = rested_s
        change_s = min(change_s, self._lanes.next_due_s(now_s))
        if self._preemption.policy.ages:
            # There is no head where all that wait are held by caps.
            longest_s = max((now_s - one.arrival_s for one in self._heads(now_s)), default=inf)
            change_s = min(change_s, now_s + min(max(AGEING * longest_s, LEAST_S), MOST_S))
        return change_s

    def _heads(self, now_s: float) -> Iterator[Request]:
        for queue in self._lanes.queues.values():
            if queue.count:
                yield from (request for request, _ in self._placed(queue, 1, now_s))

    def _some_rest_later(self, now_s: float) -> bool:
        """Whether a running request may not be stopped yet, but later."""
        if not self._preemption.possible:
            return False
        rested_s = now_s - self._preemption.settings.min_run_s
        of_its_tier = self._preemption.policy.preemptive
        return any(
            one.resumed_s > rested_s and one.preemptible
            for backend in self._backends.by_name.values()
            for one in backend.running.values()
            if of_its_tier or one.tier is not Tier.INTERACTIVE
        )

    def _may_yield(self, backend: Backend) -> bool:
        if self._preemption.policy.preemptive:
            return bool(backend.running)
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
