"""How many requests run, over all backends, and the caps on them."""

from __future__ import annotations

from collections.abc import Callable

from headway.core.request import Request, Tier
from headway.core.settings import SchedulerSettings

UNLIMITED = 1 << 30

Freed = tuple[Tier | None, str | None]
"""The tier and the tenant whose caps bind now, and would not once a certain request has left."""


class Running:
    """Running requests by tier and by tenant, and the caps on them."""

    __slots__ = (
        "_by_tenant",
        "_by_tier",
        "_tenant_cap",
        "_tier_caps",
        "capped",
        "requests",
        "tenant_gate",
    )

    def __init__(self, settings: SchedulerSettings) -> None:
        self.requests = 0
        self._by_tier = dict.fromkeys(Tier, 0)
        self._by_tenant: dict[str, int] = {}
        self._tier_caps = {tier: settings.tier(tier).max_running for tier in Tier}
        self._tenant_cap = settings.tenant_max_running
        self.tenant_gate: Callable[[str], bool] | None = None
        """`tenant_ok`; None if tenants have no cap, which spares the queues a call per tenant."""
        if self._tenant_cap is not None:
            self.tenant_gate = self.tenant_ok
        self.capped = self._tenant_cap is not None or any(
            cap is not None for cap in self._tier_caps.values()
        )
        """Whether there is any cap."""

    def add(self, request: Request) -> None:
        """Count `request`, which starts."""
        self.requests += 1
        self._by_tier[request.tier] += 1
        self._by_tenant[request.tenant] = self._by_tenant.get(request.tenant, 0) + 1

    def remove(self, request: Request) -> None:
        """Stop counting `request`."""
        self.requests -= 1
        self._by_tier[request.tier] -= 1
        left = self._by_tenant[request.tenant] - 1
        if left:
            self._by_tenant[request.tenant] = left
        else:
            del self._by_tenant[request.tenant]

    def in_tier(self, tier: Tier) -> int:
        """Number of running requests in `tier`."""
        return self._by_tier[tier]

    def tier_ok(self, tier: Tier) -> bool:
        """Whether one more request of `tier` may run."""
        cap = self._tier_caps[tier]
        return cap is None or self._by_tier[tier] < cap

    def tier_room(self, tier: Tier) -> int:
        """How many more requests of `tier` may run."""
        cap = self._tier_caps[tier]
        return UNLIMITED if cap is None else max(0, cap - self._by_tier[tier])

    def tenant_ok(self, tenant: str) -> bool:
        """Whether one more request of `tenant` may run."""
        return self._tenant_cap is None or self._by_tenant.get(tenant, 0) < self._tenant_cap

    def of_tenant(self, tenant: str) -> int:
        """Number of running requests of `tenant`."""
        return self._by_tenant.get(tenant, 0)

    def freed_by(self, request: Request) -> Freed:
        """The caps that bind now, and would not once `request`, which runs, has left."""
        tier, tenant = request.tier, request.tenant
        return (
            None if self.tier_ok(tier) else tier,
            None if self.tenant_ok(tenant) else tenant,
        )
