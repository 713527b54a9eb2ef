"""The waiting requests of one lane: by tier, then by tenant, then in the policy's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headway.core.fairness import Fairness
from headway.core.policies.policy import Policy
from headway.core.queue import Ranked, TierQueue
from headway.core.request import Request, Tier
from headway.core.starvation import DueQueue
from headway.core.tenant_queues import TenantQueues
from headway.core.tiers import TierOrder


class SharedQueue:
    """A tier without fairness or caps of tenants: one queue for all."""

    __slots__ = ("_queue", "waiting")

    def __init__(self, policy: Policy) -> None:
        self._queue = policy.queue()
        self.waiting = 0

    def push(self, request: Request) -> None:
        self._queue.push(request)
        self.waiting += 1

    def removed(self, request: Request) -> None:
        self._queue.entry_died()
        self.waiting -= 1

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None) -> Request | None:
        return self._queue.peek(now_s)

    def first(
        self, most: int, now_s: float, tenant_ok: Callable[[str], bool] | None
    ) -> list[Ranked]:
        return self._queue.first(most, now_s)

    def first_of(self, tenant: str, now_s: float) -> Request | None:
        return self._queue.peek(now_s)

    def sample(self, most: int) -> Iterable[Request]:
        return self._queue.sample(most)


class TurnQueue:
    """A tier in which fairness picks the tenant, and the policy its request."""

    __slots__ = ("_queues", "_turn", "waiting")

    def __init__(self, policy: Policy, ledger: Fairness) -> None:
        self._queues = TenantQueues(policy.queue)
        self._turn = ledger.turn(self._queues.by_tenant.__contains__)
        self.waiting = 0

    def push(self, request: Request) -> None:
        self._queues.push(request)
        self.waiting += 1
        self._turn.activate(request.tenant)

    def removed(self, request: Request) -> None:
        self._queues.removed(request)
        self.waiting -= 1

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None) -> Request | None:
        tenant = self._turn.next(tenant_ok or _every_tenant)
        return None if tenant is None else self._queues.by_tenant[tenant].peek(now_s)

    def first(
        self, most: int, now_s: float, tenant_ok: Callable[[str], bool] | None
    ) -> list[Ranked]:
        tenant = self._turn.next(tenant_ok or _every_tenant)
        return [] if tenant is None else self._queues.by_tenant[tenant].first(1, now_s)

    def first_of(self, tenant: str, now_s: float) -> Request | None:
        queue = self._queues.by_tenant.get(tenant)
        return None if queue is None else queue.peek(now_s)

    def sample(self, most: int) -> Iterable[Request]:
        return self._queues.sample(most)


class Waiting:
    """The waiting requests of one lane, and which is next."""

    __slots__ = ("_due", "_queues", "_tier_order", "count")

    def __init__(
        self, policy: Policy, tier_order: TierOrder, ledger: Fairness | None, by_tenant: bool
    ) -> None:
        self._queues = {tier: _tier_queue(policy, ledger, by_tenant) for tier in Tier}
        self._tier_order = tier_order
        self._due = DueQueue(by_tenant)
        self.count = 0

    def push(self, request: Request) -> None:
        """Add `request`, by its present rank and its arrival."""
        self._queues[request.tier].push(request)
        self._due.push(request)
        self.count += 1

    def take(self, request: Request) -> None:
        """Remove `request` from any place in the order."""
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
        """The request to start next: a due one, else by tier, tenant and policy.

        `tier_ok` and `tenant_ok` return whether a tier or tenant is below its cap.
        """
        due = self.due(now_s, tier_ok, tenant_ok)
        if due is not None:
            return due
        for tier in self._tiers(tier_ok):
            request = self._queues[tier].peek(now_s, tenant_ok)
            if request is not None:
                return request
        return None

    def first(
        self,
        most: int,
        now_s: float,
        tier_room: Callable[[Tier], int],
        tenant_ok: Callable[[str], bool] | None,
    ) -> list[Ranked]:
        """At most `most` requests to start next, in order, beginning with that of `next`.

        `tier_room` returns how many more of a tier may run. Fewer are found where a start changes
        what comes after it: with fairness, weighted tiers and caps of tenants.
        """
        room = {tier: tier_room(tier) for tier, queue in self._queues.items() if queue.waiting}
        found = self._due.first(most, now_s, room, tenant_ok)
        seen = {request.id for _, request in found}
        each = most if self._tier_order.preempts else 1
        for tier in self._tiers(lambda tier: room[tier] > 0):
            if len(found) >= most:
                break
            for rank, request in self._queues[tier].first(each + len(seen), now_s, tenant_ok):
                if request.id not in seen and room[tier] > 0 and len(found) < most:
                    found.append((rank, request))
                    room[tier] -= 1
        return found

    def due(
        self,
        now_s: float,
        tier_ok: Callable[[Tier], bool],
        tenant_ok: Callable[[str], bool] | None,
    ) -> Request | None:
        """The request due first, of those that may run; None if none is due."""
        return self._due.next(now_s, tier_ok, tenant_ok)

    def first_of(
        self, tenant: str, now_s: float, tier_ok: Callable[[Tier], bool]
    ) -> Request | None:
        """The request of `tenant` to start next if none is due; only if tenants have caps."""
        for tier in self._tiers(tier_ok):
            request = self._queues[tier].first_of(tenant, now_s)
            if request is not None:
                return request
        return None

    def next_due_s(self, now_s: float) -> float | None:
        """When the first waiting request is due, past or future; None if never."""
        return self._due.next_due_s(now_s)

    def in_tier(self, tier: Tier) -> int:
        """Number of waiting requests in `tier`."""
        return self._queues[tier].waiting

    def sample(self, tier: Tier, most: int) -> list[Request]:
        """At most about twice `most` waiting requests of `tier`, spread evenly."""
        return list(self._queues[tier].sample(most))

    def _tiers(self, tier_ok: Callable[[Tier], bool]) -> list[Tier]:
        """The tiers with waiting requests that may run, in the order of service."""
        tiers = [tier for tier, queue in self._queues.items() if queue.waiting and tier_ok(tier)]
        return self._tier_order.ordered(tiers) if len(tiers) > 1 else tiers


def _tier_queue(policy: Policy, ledger: Fairness | None, by_tenant: bool) -> TierQueue:
    if ledger is not None:
        return TurnQueue(policy, ledger)
    return policy.queue_by_tenant() if by_tenant else SharedQueue(policy)


def _every_tenant(tenant: str) -> bool:
    return True
