"""The service given to tenants that have no requests now."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class Departed:
    """Remembers how much service tenants were given ahead of others, until they come back.

    It remembers a bounded number, yet no tenant gains by being forgotten: the tenant that was given
    least is forgotten first, and an unknown tenant counts as given the most ever forgotten.

    Args:
        most: number of tenants remembered.
    """

    __slots__ = ("_entries", "_forgotten", "_given", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._given: dict[str, float] = {}
        self._entries: list[tuple[float, str]] = []
        """A heap by service given; entries of tenants that came back are dead."""
        self._forgotten = 0.0

    def __len__(self) -> int:
        return len(self._given)

    def left(self, tenant: str, given: float) -> None:
        """`tenant` has no requests any longer, and was `given` that much service."""
        self._given[tenant] = given
        heappush(self._entries, (given, tenant))
        while len(self._given) > self._most:
            self._forget_one()
        if len(self._entries) > 2 * len(self._given) + 64:
            self._entries = [(given, tenant) for tenant, given in self._given.items()]
            heapify(self._entries)

    def came_back(self, tenant: str) -> float:
        """Return the service that `tenant` was given, and forget it: the caller keeps it now."""
        return self._given.pop(tenant, self._forgotten)

    def forget_up_to(self, given: float) -> None:
        """Forget tenants that were given at most that much: it no longer makes a difference."""
        while self._entries and self._entries[0][0] <= given:
            self._forget_one()

    def _forget_one(self) -> None:
        given, tenant = heappop(self._entries)
        if self._given.get(tenant) == given:
            del self._given[tenant]
            self._forgotten = max(self._forgotten, given)
