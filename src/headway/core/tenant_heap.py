"""Waiting requests by rank, if tenants have caps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, heapreplace

from headway.core.queue import Ranked, RankHeap
from headway.core.request import Request
from headway.core.tenant_queues import TenantQueues


class TenantHeap:
    """A heap of tenants by their first requests; each tenant has a heap of its own requests.

    It skips tenants at their caps without looking at their requests. There are never more of those
    than running requests, so finding the next request takes O(log n) for any number of tenants.

    Args:
        rank: of a request; the smallest is first. It must not change while the request waits.
    """

    __slots__ = ("_entries", "_keys", "_queues", "waiting")

    def __init__(self, rank: Callable[[Request], float]) -> None:
        self._queues = TenantQueues(lambda: RankHeap(rank))
        self._entries: list[tuple[tuple[float, int], str]] = []
        """A heap of (key, tenant). A live key is at most that of the tenant's first request."""
        self._keys: dict[str, tuple[float, int]] = {}
        """The key of each tenant's live entry."""
        self.waiting = 0

    def push(self, request: Request) -> None:
        """Add `request` under its present rank and ticket."""
        tenant = request.tenant
        key = self._queues.push(request).first_key(0.0)
        assert key is not None
        known = self._keys.get(tenant)
        if known is None or key < known:
            self._keys[tenant] = key
            heappush(self._entries, (key, tenant))
        self.waiting += 1

    def removed(self, request: Request) -> None:
        """The ticket of `request` was raised."""
        self.waiting -= 1
        if self._queues.removed(request):
            del self._keys[request.tenant]
        if len(self._entries) > 2 * len(self._keys) + 64:
            self._entries = [(key, tenant) for tenant, key in self._keys.items()]
            heapify(self._entries)

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None = None) -> Request | None:
        """The first request of a tenant with `tenant_ok`."""
        entries, keys, queues = self._entries, self._keys, self._queues.by_tenant
        passed_over: list[tuple[tuple[float, int], str]] = []
        chosen: Request | None = None
        while entries:
            key, tenant = entries[0]
            if keys.get(tenant) != key:
                heappop(entries)
                continue
            first_key = queues[tenant].first_key(now_s)
            assert first_key is not None
            if first_key != key:
                # The request behind this key is gone.
                keys[tenant] = first_key
                heapreplace(entries, (first_key, tenant))
            elif tenant_ok is not None and not tenant_ok(tenant):
                passed_over.append(heappop(entries))
            else:
                chosen = queues[tenant].peek(now_s)
                break
        for entry in passed_over:
            heappush(entries, entry)
        return chosen

    def first(
        self, most: int, now_s: float, tenant_ok: Callable[[str], bool] | None = None
    ) -> list[Ranked]:
        """The first request of a tenant with `tenant_ok`; the second may be that of any."""
        head = self.peek(now_s, tenant_ok)
        return [] if head is None else [(self._keys[head.tenant][0], head)]

    def first_of(self, tenant: str, now_s: float) -> Request | None:
        """The first request of `tenant`."""
        queue = self._queues.by_tenant.get(tenant)
        return None if queue is None else queue.peek(now_s)

    def sample(self, most: int) -> Iterator[Request]:
        """At most about twice `most` requests, spread evenly over the tenants."""
        return self._queues.sample(most)
