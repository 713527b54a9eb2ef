"""Which waiting requests take the slots of running ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import heapify
from math import inf

from headway.core.backend import Backend
from headway.core.backends import Backends
from headway.core.exchange import Exchange
from headway.core.fairness import Fairness
from headway.core.lanes import Lanes
from headway.core.placement import permitted
from headway.core.preemption import Candidate, PreemptionRule
from headway.core.request import Request, Tier
from headway.core.running import Freed
from headway.core.tiers import TierOrder
from headway.core.waiting import Waiting

Urgency = tuple[bool, int, float]
"""Whether a request is not due yet, its tier and its rank: smaller is more urgent."""

PAUSE_S = 0.03
"""Where requests yield that have just begun, it is worth while to look again soon."""

_LEAST_URGENT: Urgency = (True, int(max(Tier)), inf)
_NEVER = (-inf, _LEAST_URGENT)


class Takeovers:
    """Finds running requests that yield, and the waiting requests that take their slots.

    A slot goes to the request that is next once the running one has left. That frees its share of
    a cap, so another request of its tenant or tier may be next. If the next request cannot take the
    slot, no other does.

    Args:
        rule: whether a running request yields.
        lanes: all waiting requests.
        backends: all running requests, and the caps on them.
        tier_order: says which tier is next.
        ledger: says which tenant is next; None: fairness is off.
    """

    def __init__(
        self,
        rule: PreemptionRule,
        lanes: Lanes,
        backends: Backends,
        tier_order: TierOrder,
        ledger: Fairness | None,
    ) -> None:
        self._rule = rule
        self._lanes = lanes
        self._backends = backends
        self._running = backends.running
        self._tier_order = tier_order
        self._ledger = ledger
        self.held_back: frozenset[str] = frozenset()
        """Ids of waiting requests that take no slots of others."""
        self._looked: dict[str, tuple[float, Urgency]] = {}
        """By lane: when no request yielded last, and how urgent the waiting one was."""

    def forget(self) -> None:
        """Look again everywhere: ranks have changed."""
        self._looked.clear()

    @property
    def possible(self) -> bool:
        """Whether a waiting request might take the slot of a running one."""
        if not self._lanes.backlog.requests or not self._rule.possible:
            return False
        if self._rule.policy.preemptive:
            return True
        waiting, running = self._lanes.backlog.in_tier, self._running.in_tier
        if running(Tier.BATCH) and (waiting(Tier.STANDARD) or waiting(Tier.INTERACTIVE)):
            return True
        return bool(running(Tier.STANDARD) and waiting(Tier.INTERACTIVE))

    def may_look(self, lane: str, request: Request, now_s: float) -> bool:
        """Whether it is worth looking for a running request that yields to this one."""
        return not self._looked_before(lane, self._urgency(request, now_s), now_s)

    def found(self, now_s: float) -> Iterator[tuple[Request, Request]]:
        """Pairs of a waiting request and the running request whose slot it takes.

        The caller must carry out each pair before it asks for the next.
        """
        queues = self._lanes.queues
        if len(queues) == 1 and not self._running.capped:
            ((name, queue),) = queues.items()
            return self._of_one_lane(name, queue, now_s)
        return iter(partial(self._pair, now_s), None)

    def _of_one_lane(
        self, name: str, queue: Waiting, now_s: float
    ) -> Iterator[tuple[Request, Request]]:
        """The pairs for one lane without caps: the next request is the same whichever one
        leaves."""
        rule, serving = self._rule, self._backends.of_lane(name)
        candidates: list[Candidate] | None = None
        sought = _LEAST_URGENT
        while queue.count:
            request = queue.next(now_s, self._running.tier_ok, None)
            if request is None or request.id in self.held_back:
                return
            urgency = self._urgency(request, now_s)
            if self._looked_before(name, urgency, now_s):
                return
            if candidates is None:
                self._backends.catch_up(serving, now_s)
            if candidates is None or urgency < sought or request.avoid:
                candidates = rule.candidates(permitted(request, serving), request, now_s)
                sought = urgency
            exchange = Exchange(rule.policy, queue, serving)
            victim = rule.victim(request, candidates, exchange, now_s)
            if victim is None:
                self._looked[name] = (now_s, urgency)
                return
            yield request, victim
            if request.avoid:
                candidates = None  # they left out backends that the next request may use

    def _looked_before(self, name: str, urgency: Urgency, now_s: float) -> bool:
        """Whether no request yielded to one as urgent shortly before.

        Ranks of running requests change slowly, so looking again can wait.
        """
        looked_s, most_urgent = self._looked.get(name, _NEVER)
        return now_s < looked_s + self.pause_s and urgency >= most_urgent

    @property
    def pause_s(self) -> float:
        """Time until it is worth while to look again."""
        rested_s = self._rule.settings.min_run_s
        return min(rested_s, PAUSE_S) if self._backends.piecewise else rested_s

    def _pair(self, now_s: float) -> tuple[Request, Request] | None:
        """The most urgent request to which a running one yields, and that one."""
        rule = self._rule
        found = []
        for name, queue in self._lanes.queues.items():
            heirs = self._heirs(queue, self._backends.of_lane(name), now_s)
            if not heirs:
                continue
            order = sorted((self._place(one, now_s), one) for one in set(heirs.values()))
            place, most_urgent = order[0]
            urgency = self._urgency(most_urgent, now_s)
            if not self._looked_before(name, urgency, now_s):
                found.append((place, name, urgency, [one for _, one in order], heirs))
        for _, name, urgency, waiting, heirs in sorted(found, key=lambda one: one[0]):
            serving = self._backends.of_lane(name)
            self._backends.catch_up(serving, now_s)
            exchange = Exchange(rule.policy, self._lanes.queues[name], serving)
            by_heir: dict[Request, list[Candidate]] = {}
            for candidate in rule.candidates(serving, waiting[0], now_s):
                heir = heirs.get(self._running.freed_by(candidate[3]))
                if heir is None or (heir.avoid and candidate[4] not in permitted(heir, serving)):
                    continue
                if not self._is_due_elsewhere(candidate, heir, now_s):
                    by_heir.setdefault(heir, []).append(candidate)
            for request in waiting:
                candidates = by_heir.get(request)
                if candidates is not None:
                    heapify(candidates)
                    victim = rule.victim(request, candidates, exchange, now_s)
                    if victim is not None:
                        return request, victim
            self._looked[name] = (now_s, urgency)
        return None

    def _heirs(
        self, queue: Waiting, serving: Sequence[Backend], now_s: float
    ) -> dict[Freed, Request]:
        """The next request once a running one has left, by the caps that one frees."""
        heirs: dict[Freed, Request] = {}
        if not queue.count:
            return heirs
        running = self._running
        tenant_ok = running.tenant_gate
        first_due_s = queue.next_due_s(now_s)
        is_due = first_due_s is not None and first_due_s <= now_s
        seen: set[Freed] = set()
        next_of: dict[Tier | None, Request | None] = {}
        for backend in serving:
            for victim in backend.running.values():
                freed = tier, tenant = running.freed_by(victim)
                if freed in seen:
                    continue
                seen.add(freed)
                heir = self._due_without(victim, queue, now_s) if is_due else None
                if heir is None:
                    tier_ok = _tier_ok_also(running.tier_ok, tier)
                    if tier not in next_of:
                        next_of[tier] = queue.next(now_s, tier_ok, tenant_ok)
                    heir = next_of[tier]
                    if tenant is not None:
                        own = queue.first_of(tenant, now_s, tier_ok)
                        if heir is None or (own is not None and self._precedes(own, heir)):
                            heir = own
                if heir is not None and heir.id not in self.held_back:
                    heirs[freed] = heir
        return heirs

    def _due_without(self, victim: Request, queue: Waiting, now_s: float) -> Request | None:
        """The request of `queue` due first, of those that may run once `victim` has left."""
        running = self._running
        running.remove(victim)
        due = queue.due(now_s, running.tier_ok, running.tenant_gate)
        running.add(victim)
        return due

    def _is_due_elsewhere(self, candidate: Candidate, heir: Request, now_s: float) -> bool:
        """Whether a due request of another lane goes before `heir` to the slot of `candidate`."""
        victim, backend = candidate[3], candidate[4]
        for lane in backend.lanes:
            queue = self._lanes.queues.get(lane)
            if lane == heir.lane or queue is None or not queue.count:
                continue
            due = self._due_without(victim, queue, now_s)
            if due is None or (heir.due_s, heir.sequence) < (due.due_s, due.sequence):
                continue
            if due.avoid and backend not in permitted(due, self._backends.of_lane(lane)):
                continue
            if backend.has_room_without(victim, due):
                return True
        return False

    def _precedes(self, one: Request, other: Request) -> bool:
        """Whether `one` goes before `other` of the same lane; neither is due."""
        if one.tier != other.tier:
            return self._tier_order.ordered([one.tier, other.tier])[0] is one.tier
        if self._ledger is not None and one.tenant != other.tenant:
            return self._ledger.owes_more(one.tenant, other.tenant)
        rank = self._rule.policy.rank
        return (rank(one), one.sequence) < (rank(other), other.sequence)

    def _urgency(self, request: Request, now_s: float) -> Urgency:
        return request.due_s > now_s, int(request.tier), self._rule.policy.rank(request)

    def _place(self, request: Request, now_s: float) -> tuple[float, int, float, int]:
        """Orders requests by urgency; no two are equal."""
        due_s = request.due_s if request.due_s <= now_s else inf
        rank = self._rule.policy.rank(request)
        return due_s, int(request.tier), rank, request.sequence


def _tier_ok_also(tier_ok: Callable[[Tier], bool], tier: Tier | None) -> Callable[[Tier], bool]:
    """`tier_ok`, except that one more of `tier` may run."""
    return tier_ok if tier is None else lambda other: other is tier or tier_ok(other)
