"""Highest response ratio next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from math import floor, log2

from headway.core.policies.policy import Policy
from headway.core.queue import WaitingQueue
from headway.core.request import Request

CLASSES_PER_OCTAVE = 2


class Hrrn(Policy):
    """By (wait + service) / service, the largest first; what runs is left alone.

    Source: Brinch Hansen 1971; in production in SGLang.
    """

    def rank(self, request: Request) -> float:
        return self.cost.service_s(request)

    def queue(self) -> WaitingQueue:
        return ResponseRatioQueue(self.rank)


class ResponseRatioQueue:
    """Requests in classes of about equal service time, by arrival within each.

    Among equal service times the response ratio orders by arrival, whatever the time. So only
    the heads of the classes have to be compared at `now_s`: some 30 for six orders of
    magnitude. Two requests of one class differ by less than a factor of sqrt(2) in size.
    """

    __slots__ = ("_classes", "_live", "_service_s")

    def __init__(self, service_s: Callable[[Request], float]) -> None:
        self._service_s = service_s
        self._classes: dict[int, deque[tuple[int, Request]]] = {}
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, request: Request) -> None:
        size_class = floor(CLASSES_PER_OCTAVE * log2(max(1e-6, self._service_s(request))))
        entries = self._classes.setdefault(size_class, deque())
        entry = (request.ticket, request)
        if entries and entries[-1][1].sequence > request.sequence:
            # A preempted or requeued request goes back to its place by arrival.
            place = 0
            while place < len(entries) and entries[place][1].sequence < request.sequence:
                place += 1
            entries.insert(place, entry)
        else:
            entries.append(entry)
        self._live += 1

    def peek(self, now_s: float) -> Request | None:
        best: Request | None = None
        best_ratio = 0.0
        for size_class, entries in list(self._classes.items()):
            while entries and entries[0][0] != entries[0][1].ticket:
                entries.popleft()
            if not entries:
                del self._classes[size_class]
                continue
            request = entries[0][1]
            ratio = 1.0 + max(0.0, now_s - request.arrival_s) / max(1e-6, self._service_s(request))
            if (
                best is None
                or ratio > best_ratio
                or (ratio == best_ratio and request.sequence < best.sequence)
            ):
                best, best_ratio = request, ratio
        return best

    def entry_died(self) -> None:
        self._live -= 1
        held = sum(map(len, self._classes.values())) if self._live % 1024 == 0 else 0
        if held > 2 * self._live + 64:
            for size_class, entries in self._classes.items():
                self._classes[size_class] = deque(e for e in entries if e[0] == e[1].ticket)

    def sample(self, most: int) -> Iterator[Request]:
        share = max(1, most // max(1, len(self._classes)))
        for entries in self._classes.values():
            stride = max(1, len(entries) // share)
            for ticket, request in islice(entries, 0, None, stride):
                if ticket == request.ticket:
                    yield request
