"""Highest response ratio next."""

from headway.core.policies.policy import Policy
from headway.core.queue import TierQueue, WaitingQueue
from headway.core.request import Request
from headway.core.size_classes import ClassesByTenant, ClassQueue


class Hrrn(Policy):
    """By (wait + service) / service, the largest first; never preempts.

    Among equal service times, the response ratio orders by arrival at any time, so the heads of
    classes are compared. Two requests of one class differ by less than a factor of sqrt(2) in size.
    Source: Brinch Hansen 1971; in production in SGLang.
    """

    by_length = True
    ages = True
    classes_per_octave = 2

    def rank(self, request: Request) -> float:
        return self.cost.service_s(request)

    def queue(self) -> WaitingQueue:
        return ClassQueue(self)

    def queue_by_tenant(self) -> TierQueue:
        return ClassesByTenant(self)

    def size_s(self, request: Request) -> float:
        """Its service time."""
        return self.cost.service_s(request)

    def place(self, now_s: float, arrival_s: float, size_s: float, size_class: int) -> float:
        """The response ratio without the one that all share, negated."""
        return (arrival_s - now_s) / size_s
