"""Counts of requests by tier and by tenant."""

from __future__ import annotations

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
    """Counts of requests, by tier and by tenant."""

    def __init__(self) -> None:
        self.tiers = {tier: Count() for tier in Tier}
        self.tenants: dict[str, Count] = {}

    def runs(self, work: Work) -> None:
        """Count a running request."""
        request = work.request
        self.tiers[request.tier].running += 1
        self._tenant(request.tenant).running += 1

    def waits(self, work: Work) -> None:
        """Count a waiting request."""
        request = work.request
        arrival_s = request.arrival_s
        for count in (self.tiers[request.tier], self._tenant(request.tenant)):
            count.waiting += 1
            if arrival_s < count.oldest_s:
                count.oldest_s = arrival_s

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
