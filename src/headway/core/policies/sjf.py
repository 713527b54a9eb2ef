"""Shortest job first."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Sjf(Policy):
    """By expected service time; what runs is left alone."""

    def rank(self, request: Request) -> float:
        return self.cost.service_s(request)
