"""All waiting requests of one lane: tiers, in them tenants, in them the policy's order."""

from __future__ import annotations

from collections.abc import Callable

from headway.core.fairness import Fairness
from headway.core.policies.policy import Policy
from headway.core.queue import WaitingQueue
from headway.core.request import Request, Tier
from headway.core.starvation import DueQueue
from headway.core.tiers import TierOrder


class TierQueue:
    """The waiting requests of one tier of one lane.

    Tenants have queues of their own only where something depends on them: with fairness, or
    with a cap per tenant. Otherwise everybody shares one.
    """

    __slots__ = ("_by_tenant", "_policy", "_queues", "_turn", "waiting")

    def __init__(self, policy: Policy, ledger: Fairness | None, by_tenant: bool) -> None:
        self._policy = policy
        self._by_tenant = by_tenant or ledger is not None
        self._queues: dict[str, WaitingQueue] = {}
        self._turn = ledger.turn(self._has_waiting) if ledger else None
        self.waiting = 0

    def _has_waiting(self, tenant: str) -> bool:
        return bool(self._queues.get(tenant))

    def push(self, request: Request) -> None:
        tenant = request.tenant if self._by_tenant else ""
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = self._policy.queue()
        queue.push(request)
        self.waiting += 1
        if self._turn is not None:
            self._turn.activate(tenant)

    def removed(self, request: Request) -> None:
        """`request` was taken out by its ticket."""
        tenant = request.tenant if self._by_tenant else ""
        queue = self._queues[tenant]
        queue.entry_died()
        self.waiting -= 1
        if self._by_tenant and not queue:
            del self._queues[tenant]

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None) -> Request | None:
        """The request that is next among the tenants that may run one more."""
        if not self._by_tenant:
            queue = self._queues.get("")
            return queue.peek(now_s) if queue is not None else None
        if self._turn is not None:
            tenant = self._turn.next(tenant_ok or _anyone)
            return self._queues[tenant].peek(now_s) if tenant is not None else None
        best: Request | None = None
        best_key = (0.0, 0)
        for tenant, queue in self._queues.items():
            if tenant_ok is None or tenant_ok(tenant):
                request = queue.peek(now_s)
                if request is not None:
                    key = (self._policy.rank(request), request.sequence)
                    if best is None or key < best_key:
                        best, best_key = request, key
        return best

    def sample(self, most: int) -> list[Request]:
        """At most about `most` waiting requests, spread evenly."""
        share = max(1, most // max(1, len(self._queues)))
        return [request for queue in self._queues.values() for request in queue.sample(share)]


class Waiting:
    """The waiting requests of one lane, and which of them is next."""

    __slots__ = ("_due", "_queues", "_tier_order", "count")

    def __init__(
        self, policy: Policy, tier_order: TierOrder, ledger: Fairness | None, by_tenant: bool
    ) -> None:
        self._queues = {tier: TierQueue(policy, ledger, by_tenant) for tier in Tier}
        self._tier_order = tier_order
        self._due = DueQueue(by_tenant)
        self.count = 0

    def push(self, request: Request) -> None:
        """Add `request` in its place: by the present state of its rank, and its arrival."""
        self._queues[request.tier].push(request)
        self._due.push(request)
        self.count += 1

    def take(self, request: Request) -> None:
        """Remove `request`, wherever in the order it is."""
        request.ticket += 1
        self._queues[request.tier].removed(request)
        self._due.removed(request)
        self.count -= 1

    def next(
        self,
        now_s: float,
        tier_ok: Callable[[Tier], bool],
        tenant_ok: Callable[[str], bool] | None,
    ) -> Request | None:
        """The request to start next: what is due, else by tier, tenant and policy.

        `tier_ok` and `tenant_ok` say who is below its cap.
        """
        due = self._due.next(now_s, tier_ok, tenant_ok)
        if due is not None:
            return due
        waiting = [tier for tier, queue in self._queues.items() if queue.waiting and tier_ok(tier)]
        if len(waiting) > 1:
            waiting = self._tier_order.ordered(waiting)
        for tier in waiting:
            request_or_none = self._queues[tier].peek(now_s, tenant_ok)
            if request_or_none is not None:
                return request_or_none
        return None

    def next_due_s(self, now_s: float) -> float | None:
        """When the first waiting request is due, past or future; None if none ever is."""
        return self._due.next_due_s(now_s)

    def in_tier(self, tier: Tier) -> int:
        """Requests that wait in `tier`."""
        return self._queues[tier].waiting

    def sample(self, tier: Tier, most: int) -> list[Request]:
        """At most about `most` waiting requests of `tier`, spread evenly."""
        return self._queues[tier].sample(most)


def _anyone(tenant: str) -> bool:
    return True
