"""The client's own order."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Priority(Policy):
    """By the client's integer, smaller first, preemptive."""

    preemptive = True

    def rank(self, request: Request) -> float:
        return request.priority

    def bar(self, running: Request, gain_s: float) -> float:
        return self.rank(running)

    def gain_s(self, waiting: Request, running: Request) -> float:
        # A smaller integer always outranks the cost.
        return float("inf") if waiting.priority < running.priority else 0.0
