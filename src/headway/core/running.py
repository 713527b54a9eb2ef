"""How much runs, over all backends, and who may run one more."""

from __future__ import annotations

from headway.core.request import Request, Tier
from headway.core.settings import SchedulerSettings


class Running:
    """Running requests by tier and by tenant, and the caps on them."""

    __slots__ = ("_by_tenant", "_by_tier", "_tenant_cap", "_tier_caps", "requests")

    def __init__(self, settings: SchedulerSettings) -> None:
        self.requests = 0
        self._by_tier = dict.fromkeys(Tier, 0)
        self._by_tenant: dict[str, int] = {}
        self._tier_caps = {tier: settings.tier(tier).max_running for tier in Tier}
        self._tenant_cap = settings.tenant_max_running

    def add(self, request: Request) -> None:
        """`request` runs from now on."""
        self.requests += 1
        self._by_tier[request.tier] += 1
        self._by_tenant[request.tenant] = self._by_tenant.get(request.tenant, 0) + 1

    def remove(self, request: Request) -> None:
        """`request` runs no more."""
        self.requests -= 1
        self._by_tier[request.tier] -= 1
        left = self._by_tenant[request.tenant] - 1
        if left:
            self._by_tenant[request.tenant] = left
        else:
            del self._by_tenant[request.tenant]

    def in_tier(self, tier: Tier) -> int:
        """Requests that run in `tier`."""
        return self._by_tier[tier]

    def tier_ok(self, tier: Tier) -> bool:
        """Whether one more of `tier` may run."""
        cap = self._tier_caps[tier]
        return cap is None or self._by_tier[tier] < cap

    def tenant_ok(self, tenant: str) -> bool:
        """Whether one more of `tenant` may run."""
        return self._tenant_cap is None or self._by_tenant.get(tenant, 0) < self._tenant_cap
