"""Counts of requests by tier and by tenant."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from headway.core.request import Tier
from headway.gateway.work.work import Work


class Count:
    """How many run and wait, and since when the first of them waits."""

    __slots__ = ("oldest_s", "running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.oldest_s = inf
        """When the one that has waited longest arrived."""

    def longest_wait_s(self, now_s: float) -> float | None:
        """How long that is; None: none waits."""
        return round(now_s - self.oldest_s, 3) if self.waiting else None


class Tally:
    """Counts of requests, by tier and by tenant.

    Args:
        tick: the look at which they were counted.
    """

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.tiers = [Count() for _ in Tier]
        """By tier: a list, as an enumeration is slow to hash."""
        self.tenants: dict[str, Count] = {}

    def run(self, works: Iterable[Work]) -> None:
        """Count running requests."""
        for work in works:
            self.tiers[work.request.tier].running += 1
            self._tenant(work.request.tenant).running += 1

    def wait(self, works: Iterable[Work]) -> None:
        """Count waiting requests."""
        tiers, tenants = self.tiers, self.tenants
        for work in works:
            request = work.request
            arrival_s, tenant = request.arrival_s, request.tenant
            of_tier = tiers[request.tier]
            of_tier.waiting += 1
            if arrival_s < of_tier.oldest_s:
                of_tier.oldest_s = arrival_s
            of_tenant = tenants.get(tenant) or self._tenant(tenant)
            of_tenant.waiting += 1
            if arrival_s < of_tenant.oldest_s:
                of_tenant.oldest_s = arrival_s

    def largest(self, most: int) -> list[tuple[str, Count]]:
        """The tenants with most requests."""
        ranked = sorted(self.tenants.items(), key=lambda pair: -_requests(pair[1]))
        return ranked[:most]

    def _tenant(self, tenant: str) -> Count:
        count = self.tenants.get(tenant)
        if count is None:
            count = self.tenants[tenant] = Count()
        return count


def _requests(count: Count) -> int:
    return count.running + count.waiting
