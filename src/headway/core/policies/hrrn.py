"""Highest response ratio next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from math import floor, log2
from operator import attrgetter

from headway.core.policies.policy import Policy
from headway.core.queue import TierQueue, WaitingQueue
from headway.core.request import Request
from headway.core.tenant_heap import TenantHeap

CLASSES_PER_OCTAVE = 2
SHORTEST_S = 1e-6
"""Service times below this count as this."""


class Hrrn(Policy):
    """By (wait + service) / service, the largest first; never preempts.

    Source: Brinch Hansen 1971; in production in SGLang.
    """

    by_length = True

    def rank(self, request: Request) -> float:
        return self.cost.service_s(request)

    def queue(self) -> WaitingQueue:
        return ResponseRatioQueue(self.rank)

    def queue_by_tenant(self) -> TierQueue:
        return ResponseRatioByTenant(self.rank)


class ResponseRatioQueue:
    """Requests in classes of about equal service time, by arrival within a class.

    Among equal service times, the response ratio orders by arrival at any time. So only the heads
    of the classes are compared at `now_s`: about 40 for six orders of magnitude. Two requests of
    one class differ by less than a factor of sqrt(2) in size.
    """

    __slots__ = ("_classes", "_live", "_service_s")

    def __init__(self, service_s: Callable[[Request], float]) -> None:
        self._service_s = service_s
        self._classes: dict[int, deque[tuple[int, Request, float, float]]] = {}
        """Ticket, request, arrival and service time, by class."""
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, request: Request) -> None:
        service_s = max(SHORTEST_S, self._service_s(request))
        size_class = _size_class(service_s)
        entries = self._classes.setdefault(size_class, deque())
        entry = (request.ticket, request, request.arrival_s, service_s)
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
        best_ratio = float("-inf")
        empty = []
        for size_class, entries in self._classes.items():
            ticket, request, arrival_s, service_s = entries[0]
            while ticket != request.ticket:
                entries.popleft()
                if not entries:
                    empty.append(size_class)
                    break
                ticket, request, arrival_s, service_s = entries[0]
            else:
                ratio = (now_s - arrival_s) / service_s
                if ratio > best_ratio or (
                    best is not None and ratio == best_ratio and request.sequence < best.sequence
                ):
                    best, best_ratio = request, ratio
        for size_class in empty:
            del self._classes[size_class]
        return best

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


class ResponseRatioByTenant:
    """The same if tenants have caps: in each class, by arrival over the tenants below theirs."""

    __slots__ = ("_classes", "_service_s", "waiting")

    def __init__(self, service_s: Callable[[Request], float]) -> None:
        self._service_s = service_s
        self._classes: dict[int, TenantHeap] = {}
        self.waiting = 0

    def push(self, request: Request) -> None:
        size_class = self._class_of(request)
        heap = self._classes.get(size_class)
        if heap is None:
            heap = self._classes[size_class] = TenantHeap(attrgetter("sequence"))
        heap.push(request)
        self.waiting += 1

    def removed(self, request: Request) -> None:
        size_class = self._class_of(request)
        heap = self._classes[size_class]
        heap.removed(request)
        if not heap.waiting:
            del self._classes[size_class]
        self.waiting -= 1

    def peek(self, now_s: float, tenant_ok: Callable[[str], bool] | None) -> Request | None:
        return self._best(now_s, (heap.peek(now_s, tenant_ok) for heap in self._classes.values()))

    def first_of(self, tenant: str, now_s: float) -> Request | None:
        return self._best(now_s, (heap.first_of(tenant, now_s) for heap in self._classes.values()))

    def sample(self, most: int) -> Iterator[Request]:
        share = max(1, most // max(1, len(self._classes)))
        for heap in self._classes.values():
            yield from heap.sample(share)

    def _best(self, now_s: float, firsts: Iterable[Request | None]) -> Request | None:
        waiting = [first for first in firsts if first is not None]
        return min(waiting, key=partial(self._by_ratio, now_s), default=None)

    def _by_ratio(self, now_s: float, request: Request) -> tuple[float, int]:
        service_s = max(SHORTEST_S, self._service_s(request))
        return -(now_s - request.arrival_s) / service_s, request.sequence

    def _class_of(self, request: Request) -> int:
        return _size_class(max(SHORTEST_S, self._service_s(request)))


def _size_class(service_s: float) -> int:
    return floor(CLASSES_PER_OCTAVE * log2(service_s))
