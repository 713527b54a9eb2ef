"""How much work waits, over all lanes."""

from __future__ import annotations

from headway.core.fairness import Fairness
from headway.core.request import Request, Tier
from headway.core.tiers import TierOrder


class Backlog:
    """Counts waiting requests and their predicted work by tier, and requests by tenant.

    Args:
        tier_order: notified when a tier begins to have waiting requests.
        ledger: notified when a tenant begins or ceases to have them; None: fairness is off.
    """

    __slots__ = ("_by_tenant", "_by_tier", "_ledger", "_tier_order", "_work_s", "requests")

    def __init__(self, tier_order: TierOrder, ledger: Fairness | None) -> None:
        self._tier_order = tier_order
        self._ledger = ledger
        self.requests = 0
        self._by_tier = dict.fromkeys(Tier, 0)
        self._by_tenant: dict[str, int] = {}
        self._work_s = dict.fromkeys(Tier, 0.0)

    def began(self, request: Request) -> None:
        """Call before `add` if `request` did not wait before."""
        if not self._by_tier[request.tier]:
            self._tier_order.backlogged(request.tier, self.tiers())
        if self._ledger is not None and not self.of_tenant(request.tenant):
            self._ledger.backlogged(request.tenant)

    def ended(self, request: Request) -> None:
        """Call after `remove` if `request` no longer waits."""
        if self._ledger is not None and not self.of_tenant(request.tenant):
            self._ledger.drained(request.tenant)

    def add(self, request: Request) -> None:
        """Count `request`. Its `queued_work_s` must not change until `remove`."""
        self.requests += 1
        self._by_tier[request.tier] += 1
        self._by_tenant[request.tenant] = self._by_tenant.get(request.tenant, 0) + 1
        self._work_s[request.tier] += request.queued_work_s

    def remove(self, request: Request) -> None:
        """Stop counting `request`."""
        self.requests -= 1
        left = self._by_tier[request.tier] = self._by_tier[request.tier] - 1
        if left:
            self._work_s[request.tier] -= request.queued_work_s
        else:
            self._work_s[request.tier] = 0.0  # no drift from rounding
        of_tenant = self._by_tenant[request.tenant] - 1
        if of_tenant:
            self._by_tenant[request.tenant] = of_tenant
        else:
            del self._by_tenant[request.tenant]

    def in_tier(self, tier: Tier) -> int:
        """Number of waiting requests in `tier`."""
        return self._by_tier[tier]

    def of_tenant(self, tenant: str) -> int:
        """Number of waiting requests of `tenant`."""
        return self._by_tenant.get(tenant, 0)

    def tiers(self) -> list[Tier]:
        """The tiers with waiting requests."""
        return [tier for tier, waiting in self._by_tier.items() if waiting]

    def work_s(self, tier: Tier | None = None) -> float:
        """Predicted service time of waiting requests, in `tier` or in all."""
        return max(0.0, sum(self._work_s.values()) if tier is None else self._work_s[tier])
