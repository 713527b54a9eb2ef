"""What is remembered of tenants that neither wait nor run."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class Departed:
    """Service that tenants were given ahead of others, kept until they come back.

    Bounded, and still nobody gains by being forgotten: whoever was given least is forgotten first,
    and whoever is not known counts as given the most that was ever forgotten.

    Args:
        most: tenants remembered.
    """

    __slots__ = ("_entries", "_forgotten", "_given", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._given: dict[str, float] = {}
        self._entries: list[tuple[float, str]] = []
        """By service given; those of tenants that came back since are dead."""
        self._forgotten = 0.0

    def __len__(self) -> int:
        return len(self._given)

    def left(self, tenant: str, given: float) -> None:
        """`tenant` is gone, with so much service given."""
        self._given[tenant] = given
        heappush(self._entries, (given, tenant))
        while len(self._given) > self._most:
            self._forget_one()
        if len(self._entries) > 2 * len(self._given) + 64:
            self._entries = [(given, tenant) for tenant, given in self._given.items()]
            heapify(self._entries)

    def came_back(self, tenant: str) -> float:
        """The service that `tenant` was given; it is remembered by the caller from now on."""
        return self._given.pop(tenant, self._forgotten)

    def forget_up_to(self, given: float) -> None:
        """Forget those that were given no more than that: it makes no difference any more."""
        while self._entries and self._entries[0][0] <= given:
            self._forget_one()

    def _forget_one(self) -> None:
        given, tenant = heappop(self._entries)
        if self._given.get(tenant) == given:
            del self._given[tenant]
            self._forgotten = max(self._forgotten, given)
