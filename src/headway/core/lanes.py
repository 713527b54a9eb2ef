"""All waiting requests, lane by lane, and which of them is next."""

from __future__ import annotations

from collections.abc import Container
from math import inf, nextafter
from operator import attrgetter

from headway.core.backends import Backends
from headway.core.backlog import Backlog
from headway.core.fairness import Fairness
from headway.core.policies.policy import Policy
from headway.core.queue import RankHeap
from headway.core.request import Request, Tier
from headway.core.tiers import TierOrder
from headway.core.waiting import Waiting


class Lanes:
    """The waiting requests of every lane, their totals, and their first deadline.

    Args:
        policy: orders each lane.
        tier_order: says which tier is next.
        ledger: says which tenant is next; None: fairness is off.
        backends: where they may start, and the caps.
        by_tenant: whether tenants have queues of their own even without a ledger.
    """

    __slots__ = (
        "_backends",
        "_by_tenant",
        "_deadlines",
        "_ledger",
        "_policy",
        "_tier_order",
        "backlog",
        "queues",
    )

    def __init__(
        self,
        policy: Policy,
        tier_order: TierOrder,
        ledger: Fairness | None,
        backends: Backends,
        by_tenant: bool,
    ) -> None:
        self._policy = policy
        self._tier_order = tier_order
        self._ledger = ledger
        self._backends = backends
        self._by_tenant = by_tenant
        self.queues: dict[str, Waiting] = {}
        """By lane, for every lane that ever had a waiting request; some are empty."""
        self.backlog = Backlog(tier_order, ledger)
        self._deadlines = RankHeap(attrgetter("latest_start_s"))
        """Requests that are given up if they have not started by then."""

    def use(self, policy: Policy) -> None:
        """Order by `policy` from now on. All requests must have been pulled."""
        self._policy = policy
        self.queues = {}

    def enqueue(self, request: Request) -> None:
        """Add `request`, which begins to wait."""
        self.backlog.began(request)
        self.push(request)

    def dequeue(self, request: Request) -> None:
        """Remove `request`, which no longer waits."""
        self.pull(request)
        self.backlog.ended(request)

    def push(self, request: Request) -> None:
        """Put a waiting request in its place, by its present rank."""
        if request.output_tokens:
            request.queued_work_s = self._policy.cost.remaining_s(request)
        else:
            request.queued_work_s = request.service_s
        self.backlog.add(request)
        queue = self.queues.get(request.lane)
        if queue is None:
            queue = self.queues[request.lane] = Waiting(
                self._policy, self._tier_order, self._ledger, self._by_tenant
            )
        queue.push(request)
        if _may_be_given_up(request):
            self._deadlines.push(request)

    def pull(self, request: Request) -> None:
        """Take a waiting request out of its place, to push it again."""
        self.queues[request.lane].take(request)
        if _may_be_given_up(request):
            self._deadlines.entry_died()
        self.backlog.remove(request)

    def next(self, now_s: float, blocked: Container[str]) -> Request | None:
        """The request to start next: first of its lane, below its caps, with a free slot in a
        backend that serves it. Skips the lanes that are `blocked`."""
        backends, best = self._backends, None
        for name, queue in self.queues.items():
            if not queue.count or name in blocked or not backends.has_free_slot(name):
                continue
            caps = backends.running
            request = queue.next(now_s, caps.tier_ok, caps.tenant_gate)
            if request is not None and (best is None or self._precedes(request, best, now_s)):
                best = request
        return best

    def positions(self) -> dict[Tier, int]:
        """By tier: 0 for the one that is served first now, and so on."""
        ordered = self._tier_order.ordered(list(Tier))
        return {tier: position for position, tier in enumerate(ordered)}

    def missed(self, now_s: float) -> Request | None:
        """A request that can no longer meet its deadline; None if there is none."""
        first = self._deadlines.peek(now_s)
        return first if first is not None and first.latest_start_s < now_s else None

    def next_missed_s(self, now_s: float) -> float:
        """When `missed` returns the next request; infinite if never."""
        first = self._deadlines.peek(now_s)
        # It may still start at that very moment, and is given up just after it.
        return inf if first is None else nextafter(first.latest_start_s, inf)

    def next_due_s(self, now_s: float) -> float:
        """When a request becomes due next in a lane where none is due; infinite if never."""
        next_s = inf
        for queue in self.queues.values():
            due_s = queue.next_due_s(now_s)
            if due_s is not None and now_s < due_s < next_s:
                next_s = due_s
        return next_s

    def _precedes(self, one: Request, other: Request, now_s: float) -> bool:
        """Whether `one`, next in its lane, goes before `other`, next in another lane."""
        if (one.due_s <= now_s) != (other.due_s <= now_s):
            return one.due_s <= now_s
        if one.due_s <= now_s and one.due_s != other.due_s:
            return one.due_s < other.due_s
        if one.tier != other.tier:
            return self._tier_order.ordered([one.tier, other.tier])[0] is one.tier
        ranks = self._policy.rank(one), self._policy.rank(other)
        return ranks[0] < ranks[1] or (ranks[0] == ranks[1] and one.sequence < other.sequence)


def _may_be_given_up(request: Request) -> bool:
    """Whether it has a deadline, and its client has no part of the answer yet."""
    return request.deadline_s is not None and not request.output_tokens
