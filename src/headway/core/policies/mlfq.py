"""Skip-join multi-level feedback queue."""

from math import ceil, log2

from headway.core.policies.policy import Policy
from headway.core.request import Request
from headway.core.settings import SchedulerSettings


class Mlfq(Policy):
    """By level, preemptive; within a level by arrival. Needs no prediction.

    Level k holds requests whose attained service is within the first k + 1 quanta. The first is
    `preemption.quantum_s`, each next one twice the one before. Service includes prefill from the
    start, so a long prompt skips the levels that its prefill would use up. A long answer sinks as
    it grows.
    Source: FastServe (Wu et al. 2023); its promotion of starved requests is the starvation bound.
    """

    preemptive = True

    def __init__(self, settings: SchedulerSettings) -> None:
        super().__init__(settings)
        self._quantum_s = settings.preemption.quantum_s

    def rank(self, request: Request) -> float:
        quanta = self.attained_s(request) / self._quantum_s
        levels = ceil(log2(quanta + 1.0))
        return levels - 1.0 if levels else 0.0

    def attained_s(self, request: Request) -> float:
        """The service that decides its level."""
        return self.cost.attained_s(request)

    def bar(self, running: Request, gain_s: float) -> float:
        return self.rank(running)

    def gain_s(self, waiting: Request, running: Request) -> float:
        # Levels are not seconds: a lower level always outranks the cost.
        return float("inf") if self.rank(waiting) < self.rank(running) else 0.0
