"""One queue a tenant, for those that have somebody waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from headway.core.queue import WaitingQueue
from headway.core.request import Request

Queue = TypeVar("Queue", bound=WaitingQueue)


class TenantQueues(Generic[Queue]):
    """Queues by tenant; one exists as long as its tenant has somebody waiting.

    Args:
        make: makes the queue of one tenant.
    """

    __slots__ = ("_make", "_places", "_tenants", "by_tenant")

    def __init__(self, make: Callable[[], Queue]) -> None:
        self._make = make
        self.by_tenant: dict[str, Queue] = {}
        self._tenants: list[str] = []
        """The same tenants, to be sampled by place: a dictionary cannot be."""
        self._places: dict[str, int] = {}

    def push(self, request: Request) -> Queue:
        """Add `request` to the queue of its tenant, which is returned."""
        tenant = request.tenant
        queue = self.by_tenant.get(tenant)
        if queue is None:
            queue = self.by_tenant[tenant] = self._make()
            self._places[tenant] = len(self._tenants)
            self._tenants.append(tenant)
        queue.push(request)
        return queue

    def removed(self, request: Request) -> bool:
        """`request` was taken out by its ticket. Whether it was the last one of its tenant."""
        tenant = request.tenant
        queue = self.by_tenant[tenant]
        queue.entry_died()
        if queue:
            return False
        del self.by_tenant[tenant]
        place, last = self._places.pop(tenant), self._tenants.pop()
        if last != tenant:
            self._tenants[place] = last
            self._places[last] = place
        return True

    def sample(self, most: int) -> Iterator[Request]:
        """At most about twice `most` requests, spread evenly over the tenants."""
        stride = max(1, len(self._tenants) // most)
        share = max(1, most // max(1, len(self._tenants)))
        for place in range(0, len(self._tenants), stride):
            yield from self.by_tenant[self._tenants[place]].sample(share)
