"""A queue for each tenant with waiting requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from headway.core.queue import WaitingQueue
from headway.core.request import Request

Queue = TypeVar("Queue", bound=WaitingQueue)


class TenantQueues(Generic[Queue]):
    """Queues by tenant; each exists while its tenant has waiting requests.

    Args:
        make: makes the queue of one tenant.
    """

    __slots__ = ("_make", "_places", "_tenants", "by_tenant")

    def __init__(self, make: Callable[[], Queue]) -> None:
        self._make = make
        self.by_tenant: dict[str, Queue] = {}
        self._tenants: list[str] = []
        """The same tenants as a list, because a dictionary cannot be sampled by index."""
        self._places: dict[str, int] = {}

    def push(self, request: Request) -> Queue:
        """Add `request` to the queue of its tenant, and return that queue."""
        tenant = request.tenant
        queue = self.by_tenant.get(tenant)
        if queue is None:
            queue = self.by_tenant[tenant] = self._make()
            self._places[tenant] = len(self._tenants)
            self._tenants.append(tenant)
        queue.push(request)
        return queue

    def removed(self, request: Request) -> bool:
        """The ticket of `request` was raised. Returns whether its tenant has no other."""
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
