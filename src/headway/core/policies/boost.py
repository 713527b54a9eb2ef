"""Arrival, less a head start that is larger for a shorter request."""

from math import expm1, log

from headway.core.policies.policy import Policy
from headway.core.queue import TierQueue, WaitingQueue
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.core.size_classes import SHORTEST_S, ClassesByTenant, ClassQueue, class_of
from headway.core.tail_keeper import TailKeeper


class Boost(Policy):
    """By arrival, shorter requests moved forward: between fcfs and sjf, as its scale says.

    b(size) = T ln(E[e^(S/T)] / (E[e^(S/T)] - 1)). S is the work of the request in seconds of the
    whole backend, a random variable: the expectation is over the predicted distribution. It orders
    at any T like the size s = T ln E[e^(S/T)], which is the mean for large T and the longest
    possible one for small T, with b = -T ln(1 - e^(-s/T)). Sizes within a quarter of an octave
    have one head start, so that arrival orders them at any T, and T may change at no cost.

    Nobody starves: a request of size s starts before all that arrive T (1 + ln(s / SHORTEST_S))
    after it or later, whatever their sizes, since b(SHORTEST_S) - b(s) is less than that. If T
    changes, this holds of the largest T meanwhile (`tail_keeper.py` bounds it).

    Source: gamma-Boost of Yu and Scully, SIGMETRICS 2024 (arXiv:2404.08826); T = 1 / gamma.
    """

    by_length = True
    needs_predictor = True
    classes_per_octave = 4

    def __init__(self, settings: SchedulerSettings) -> None:
        super().__init__(settings)
        self._slots = 1
        self._head_starts_s: dict[int, float] = {}
        """By class of size."""
        self._shared_scale_s: float | None = None
        scale_s = settings.boost.scale_s
        self._known = scale_s is not None
        """Whether there has been a T that follows from something."""
        if scale_s is None:
            self.tail = TailKeeper(settings.boost.tail, settings.cost, self.rescale)
            scale_s = self.tail.scale_s
        self.scale_s = scale_s
        """T, in seconds: a head start is some multiples of it."""

    def rescale(self, scale_s: float) -> None:
        """Set another T, unless one is shared."""
        self.scale_s = scale_s if self._shared_scale_s is None else self._shared_scale_s
        self._known = True
        self._head_starts_s = {}

    def use_scale(self, scale_s: float | None) -> None:
        """Use a shared T: ranks of several schedulers are comparable only by the same."""
        if scale_s != self._shared_scale_s:
            self._shared_scale_s = scale_s
            if scale_s is not None:
                self.rescale(scale_s)
            elif self.tail is not None and self.tail.steered:
                self.rescale(self.tail.scale_s)

    def use_slots(self, slots: int) -> None:
        """Sizes are divided by it: a slot of many takes little of the whole backend."""
        self._slots = max(1, slots)
        self._head_starts_s = {}

    def rank(self, request: Request) -> float:
        size_s = max(SHORTEST_S, self.size_s(request))
        size_class = class_of(size_s, self.classes_per_octave)
        return self.place(0.0, request.arrival_s, size_s, size_class)

    def queue(self) -> WaitingQueue:
        return ClassQueue(self)

    def queue_by_tenant(self) -> TierQueue:
        return ClassesByTenant(self)

    def size_s(self, request: Request) -> float:
        """The size that has the head start of its distribution, in seconds of a slot."""
        decode_s = self.cost.decode_s_per_token
        if self._known:
            rate = decode_s / (self.scale_s * self._slots)
            tokens = request.estimate.exponential_mean(rate)
        else:
            # A waiting request keeps its size, and at the least T all have that of the longest
            # possible answer: a first burst could not be told apart once T grows.
            tokens = request.estimate.mean
        return self.cost.prefill_work_s(request) + decode_s * tokens

    def place(self, now_s: float, arrival_s: float, size_s: float, size_class: int) -> float:
        """The rank; it changes with T only."""
        head_start_s = self._head_starts_s.get(size_class)
        if head_start_s is None:
            head_start_s = self._head_starts_s[size_class] = self._head_start_s(size_class)
        return arrival_s - head_start_s

    def _head_start_s(self, size_class: int) -> float:
        """b of the middle of a class."""
        size_s = 2.0 ** ((size_class + 0.5) / self.classes_per_octave) / self._slots
        return -self.scale_s * log(-expm1(-size_s / self.scale_s))
