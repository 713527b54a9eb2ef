"""Shortest remaining processing time (also called SRTF)."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Srpt(Policy):
    """By expected remaining service time, preemptive.

    Least mean latency of all policies if sizes are known. Source: Schrage 1968.
    """

    preemptive = True
    by_length = True
    needs_predictor = True

    def rank(self, request: Request) -> float:
        return self.cost.remaining_s(request)
