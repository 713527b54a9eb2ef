"""Shortest job first."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Sjf(Policy):
    """By expected service time; never preempts."""

    by_length = True
    needs_predictor = True

    def rank(self, request: Request) -> float:
        return self.cost.service_s(request)
