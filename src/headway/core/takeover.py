"""Which waiting request takes the slot of which running one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from heapq import heapify
from math import inf

from headway.core.backend import Backend
from headway.core.fairness import Fairness
from headway.core.lanes import Lanes
from headway.core.placement import permitted
from headway.core.policies.policy import Policy
from headway.core.preemption import Candidate, PreemptionRule
from headway.core.request import Request, Tier
from headway.core.running import Freed, Running
from headway.core.tiers import TierOrder
from headway.core.waiting import Waiting

Urgency = tuple[bool, int, float]
"""Whether a request is not due yet, its tier and its rank: the smaller one is more urgent."""

_LEAST_URGENT: Urgency = (True, int(max(Tier)), inf)
_NEVER = (-inf, _LEAST_URGENT)


class Takeovers:
    """Finds who gives way to whom.

    A slot goes to the request that is next once the running one has left: what that one held of a
    cap is free then, so another request of its tenant or tier may be next. Where the request that
    is next cannot take the slot, nobody does.

    Args:
        lanes: everybody who waits.
        running: how much runs, and the caps on it.
        tier_order: which tier is served first.
        ledger: which tenant is; None: it does not matter.
        min_run_s: where nobody gave way, the same is not asked again for so long.
        catch_up: called before running requests are compared, with where they run.
    """

    def __init__(
        self,
        lanes: Lanes,
        running: Running,
        tier_order: TierOrder,
        ledger: Fairness | None,
        min_run_s: float,
        catch_up: Callable[[Iterable[Backend], float], None],
    ) -> None:
        self._lanes = lanes
        self._running = running
        self._tier_order = tier_order
        self._ledger = ledger
        self._min_run_s = min_run_s
        self._catch_up = catch_up
        self._looked: dict[str, tuple[float, Urgency]] = {}
        """By lane: when nobody gave way last, and to how urgent a request."""

    def forget(self) -> None:
        """Ranks have changed: look again, whatever was found before."""
        self._looked.clear()

    def found(
        self, rule: PreemptionRule, serving: Mapping[str, Sequence[Backend]], now_s: float
    ) -> Iterator[tuple[Request, Request]]:
        """A waiting request, and the running one whose slot it takes; again and again.

        Each pair must be carried out before the next one is asked for.

        Args:
            rule: whether somebody gives way.
            serving: the backends of each lane.
            now_s: the time.
        """
        queues = self._lanes.queues
        if len(queues) == 1 and not self._running.capped:
            ((name, queue),) = queues.items()
            return self._of_one_lane(name, queue, rule, serving.get(name, ()), now_s)
        return iter(partial(self._pair, rule, serving, now_s), None)

    def _of_one_lane(
        self,
        name: str,
        queue: Waiting,
        rule: PreemptionRule,
        serving: Sequence[Backend],
        now_s: float,
    ) -> Iterator[tuple[Request, Request]]:
        """The same without caps, where one request is next whoever leaves."""
        candidates: list[Candidate] | None = None
        sought = _LEAST_URGENT
        while queue.count:
            request = queue.next(now_s, self._running.tier_ok, None)
            if request is None:
                return
            urgency = _urgency(request, rule.policy, now_s)
            if self._looked_before(name, urgency, now_s):
                return
            if candidates is None:
                self._catch_up(serving, now_s)
            if candidates is None or urgency < sought or request.avoid:
                candidates = rule.candidates(permitted(request, serving), request, now_s)
                sought = urgency
            victim = rule.victim(request, candidates, now_s)
            if victim is None:
                self._looked[name] = (now_s, urgency)
                return
            yield request, victim
            if request.avoid:
                candidates = None  # they were not all for the next request

    def _looked_before(self, name: str, urgency: Urgency, now_s: float) -> bool:
        """Ranks of running requests change slowly: where nobody gave way to somebody as urgent
        just before, look again later."""
        looked_s, most_urgent = self._looked.get(name, _NEVER)
        return now_s < looked_s + self._min_run_s and urgency >= most_urgent

    def _pair(
        self, rule: PreemptionRule, serving: Mapping[str, Sequence[Backend]], now_s: float
    ) -> tuple[Request, Request] | None:
        """The most urgent request to which somebody gives way, and who does."""
        found = []
        for name, queue in self._lanes.queues.items():
            heirs = self._heirs(queue, serving.get(name, ()), rule.policy, now_s)
            if not heirs:
                continue
            order = sorted((_place(one, rule.policy, now_s), one) for one in set(heirs.values()))
            place, most_urgent = order[0]
            urgency = _urgency(most_urgent, rule.policy, now_s)
            if not self._looked_before(name, urgency, now_s):
                found.append((place, name, urgency, [one for _, one in order], heirs))
        for _, name, urgency, waiting, heirs in sorted(found, key=lambda one: one[0]):
            self._catch_up(serving[name], now_s)
            by_heir: dict[Request, list[Candidate]] = {}
            for candidate in rule.candidates(serving[name], waiting[0], now_s):
                heir = heirs.get(self._running.freed_by(candidate[3]))
                if heir is None or (
                    heir.avoid and candidate[4] not in permitted(heir, serving[name])
                ):
                    continue
                if not self._is_due_elsewhere(candidate, heir, serving, now_s):
                    by_heir.setdefault(heir, []).append(candidate)
            for request in waiting:
                candidates = by_heir.get(request)
                if candidates is not None:
                    heapify(candidates)
                    victim = rule.victim(request, candidates, now_s)
                    if victim is not None:
                        return request, victim
            self._looked[name] = (now_s, urgency)
        return None

    def _heirs(
        self, queue: Waiting, serving: Sequence[Backend], policy: Policy, now_s: float
    ) -> dict[Freed, Request]:
        """Who is next once a running request has left, by what that one frees of the caps."""
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
                        if heir is None or (own is not None and self._precedes(own, heir, policy)):
                            heir = own
                if heir is not None:
                    heirs[freed] = heir
        return heirs

    def _due_without(self, victim: Request, queue: Waiting, now_s: float) -> Request | None:
        """The request of `queue` that was due first, of those that may run without `victim`."""
        running = self._running
        running.remove(victim)
        due = queue.due(now_s, running.tier_ok, running.tenant_gate)
        running.add(victim)
        return due

    def _is_due_elsewhere(
        self,
        candidate: Candidate,
        heir: Request,
        serving: Mapping[str, Sequence[Backend]],
        now_s: float,
    ) -> bool:
        """Whether the slot of `candidate` is due to another lane's request before `heir`."""
        victim, backend = candidate[3], candidate[4]
        for lane in backend.lanes:
            queue = self._lanes.queues.get(lane)
            if lane == heir.lane or queue is None or not queue.count:
                continue
            due = self._due_without(victim, queue, now_s)
            if due is None or (heir.due_s, heir.sequence) < (due.due_s, due.sequence):
                continue
            if due.avoid and backend not in permitted(due, serving[lane]):
                continue
            if backend.has_room_without(victim, due):
                return True
        return False

    def _precedes(self, one: Request, other: Request, policy: Policy) -> bool:
        """Whether `one` goes before `other` of the same lane; neither is due."""
        if one.tier != other.tier:
            return self._tier_order.ordered([one.tier, other.tier])[0] is one.tier
        if self._ledger is not None and one.tenant != other.tenant:
            return self._ledger.owes_more(one.tenant, other.tenant)
        return (policy.rank(one), one.sequence) < (policy.rank(other), other.sequence)


def _urgency(request: Request, policy: Policy, now_s: float) -> Urgency:
    return request.due_s > now_s, int(request.tier), policy.rank(request)


def _place(request: Request, policy: Policy, now_s: float) -> tuple[float, int, float, int]:
    """Orders requests by urgency; no two have one place."""
    due_s = request.due_s if request.due_s <= now_s else inf
    return due_s, int(request.tier), policy.rank(request), request.sequence


def _tier_ok_also(tier_ok: Callable[[Tier], bool], tier: Tier | None) -> Callable[[Tier], bool]:
    """`tier_ok` when one more of `tier` may run."""
    return tier_ok if tier is None else lambda other: other is tier or tier_ok(other)
