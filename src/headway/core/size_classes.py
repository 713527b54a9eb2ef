"""Waiting requests in classes of about equal size, for orders whose ranks change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import islice
from math import floor, log2
from operator import attrgetter
from typing import Protocol

from headway.core.queue import Ranked
from headway.core.request import Request
from headway.core.tenant_heap import TenantHeap

SHORTEST_S = 1e-6
"""Sizes below this count as this."""


_Entry = tuple[int, Request, float, float]
"""Ticket, request, arrival and size."""


class ClassOrder(Protocol):
    """An order in which requests of one class go by arrival at any time."""

    classes_per_octave: int

    def size_s(self, request: Request) -> float:
        """Decides the class of `request`."""
        ...

    def place(self, now_s: float, arrival_s: float, size_s: float, size_class: int) -> float:
        """The smallest is next. Within a class it must never fall with the time of arrival."""
        ...


class ClassQueue:
    """Requests in classes of about equal size, by arrival within a class.

    Only the heads of the classes are compared: with two classes an octave, about 40 for six orders
    of magnitude. So places may change with time, or with what the order has learned, at no cost.
    """

    __slots__ = ("_classes", "_live", "_order")

    def __init__(self, order: ClassOrder) -> None:
        self._order = order
        self._classes: dict[int, deque[_Entry]] = {}
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, request: Request) -> None:
        size_s = max(SHORTEST_S, self._order.size_s(request))
        size_class = class_of(size_s, self._order.classes_per_octave)
        entries = self._classes.setdefault(size_class, deque())
        entry = (request.ticket, request, request.arrival_s, size_s)
        if entries and entries[-1][1].sequence > request.sequence:
            # A preempted or requeued request returns to its place by arrival.
            place = 0
            while place < len(entries) and entries[place][1].sequence < request.sequence:
                place += 1
            entries.insert(place, entry)
        else:
            entries.append(entry)
        self._live += 1

    def peek(self, now_s: float) -> Request | None:
        best: Request | None = None
        best_place = float("inf")
        place_of = self._order.place
        empty = []
        for size_class, entries in self._classes.items():
            ticket, request, arrival_s, size_s = entries[0]
            while ticket != request.ticket:
                entries.popleft()
                if not entries:
                    empty.append(size_class)
                    break
                ticket, request, arrival_s, size_s = entries[0]
            else:
                place = place_of(now_s, arrival_s, size_s, size_class)
                if place < best_place or (
                    best is None or (place == best_place and request.sequence < best.sequence)
                ):
                    best, best_place = request, place
        for size_class in empty:
            del self._classes[size_class]
        return best

    def first(self, most: int, now_s: float) -> list[Ranked]:
        lines = [
            self._in_order(size_class, entries, now_s)
            for size_class, entries in self._classes.items()
        ]
        return [(place, request) for place, _, request in islice(merge(*lines), most)]

    def _in_order(
        self, size_class: int, entries: Iterable[_Entry], now_s: float
    ) -> Iterator[tuple[float, int, Request]]:
        """The live requests of one class, with their places."""
        place_of = self._order.place
        for ticket, request, arrival_s, size_s in entries:
            if ticket == request.ticket:
                yield place_of(now_s, arrival_s, size_s, size_class), request.sequence, request

    def entry_died(self) -> None:
        self._live -= 1
        held = sum(map(len, self._classes.values())) if self._live % 1024 == 0 else 0
        if held > 2 * self._live + 64:
            self._classes = {
                size_class: live
                for size_class, entries in self._classes.items()
                if (live := deque(entry for entry in entries if entry[0] == entry[1].ticket))
            }

    def sample(self, most: int) -> Iterator[Request]:
        share = max(1, most // max(1, len(self._classes)))
        for entries in self._classes.values():
            stride = max(1, len(entries) // share)
            for ticket, request, _, _ in islice(entries, 0, None, stride):
                if ticket == request.ticket:
                    yield request


class ClassesByTenant:
    """The same if tenants have caps: in each class, by arrival over the tenants below theirs."""

    __slots__ = ("_class_of", "_classes", "_order", "waiting")

    def __init__(self, order: ClassOrder) -> None:
        self._order = order
        self._classes: dict[int, TenantHeap] = {}
        self._class_of: dict[str, int] = {}
        """By id of the request: its size may have been computed otherwise when it came."""
        self.waiting = 0

    def push(self, request: Request) -> None:
        size_s = max(SHORTEST_S, self._order.size_s(request))
        size_class = class_of(size_s, self._order.classes_per_octave)
        self._class_of[request.id] = size_class
        heap = self._classes.get(size_class)
        if heap is None:
            heap = self._classes[size_class] = TenantHeap(attrgetter("sequence"))
        heap.push(request)
        self.waiting += 1

    def removed(self, request: Request) -> None:
        size_class = self._class_of.pop(request.id)
        heap = self._classes[size_class]
        heap.removed(request)
        if not heap.waiting:
            del self._classes[size_class]
        self.waiting -= 1

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None) -> Request | None:
        return self._first(now_s, (heap.peek(now_s, tenant_ok) for heap in self._classes.values()))

    def first(
        self, most: int, now_s: float, tenant_ok: Callable[[str], bool] | None
    ) -> list[Ranked]:
        head = self.peek(now_s, tenant_ok)
        return [] if head is None else [(self._place(head, now_s)[0], head)]

    def first_of(self, tenant: str, now_s: float) -> Request | None:
        return self._first(now_s, (heap.first_of(tenant, now_s) for heap in self._classes.values()))

    def sample(self, most: int) -> Iterator[Request]:
        share = max(1, most // max(1, len(self._classes)))
        for heap in self._classes.values():
            yield from heap.sample(share)

    def _first(self, now_s: float, heads: Iterable[Request | None]) -> Request | None:
        found = (head for head in heads if head is not None)
        return min(found, key=lambda head: self._place(head, now_s), default=None)

    def _place(self, request: Request, now_s: float) -> tuple[float, int]:
        size_s = max(SHORTEST_S, self._order.size_s(request))
        size_class = self._class_of[request.id]
        place = self._order.place(now_s, request.arrival_s, size_s, size_class)
        return place, request.sequence


def class_of(size_s: float, per_octave: int) -> int:
    """The class of requests of about this size; of a larger one, a larger number."""
    return floor(per_octave * log2(size_s))
