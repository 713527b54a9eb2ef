"""How much waits, over all lanes."""

from __future__ import annotations

from headway.core.request import Request, Tier


class Backlog:
    """Waiting requests and their predicted work, by tier; and requests by tenant."""

    __slots__ = ("_by_tenant", "_by_tier", "_work_s", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self._by_tier = dict.fromkeys(Tier, 0)
        self._by_tenant: dict[str, int] = {}
        self._work_s = dict.fromkeys(Tier, 0.0)

    def add(self, request: Request) -> None:
        """`request` waits from now on; its `queued_work_s` stays as it is until it does not."""
        self.requests += 1
        self._by_tier[request.tier] += 1
        self._by_tenant[request.tenant] = self._by_tenant.get(request.tenant, 0) + 1
        self._work_s[request.tier] += request.queued_work_s

    def remove(self, request: Request) -> None:
        """`request` waits no more."""
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
        """Requests that wait in `tier`."""
        return self._by_tier[tier]

    def of_tenant(self, tenant: str) -> int:
        """Requests of `tenant` that wait."""
        return self._by_tenant.get(tenant, 0)

    def tiers(self) -> list[Tier]:
        """The tiers in which somebody waits."""
        return [tier for tier, waiting in self._by_tier.items() if waiting]

    def work_s(self, tier: Tier | None = None) -> float:
        """Predicted service time of what waits, in `tier` or in all."""
        return max(0.0, sum(self._work_s.values()) if tier is None else self._work_s[tier])
