"""Shortest remaining processing time (also called SRTF)."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Srpt(Policy):
    """By expected remaining service time, preemptive.

    Least mean latency of all policies where sizes are known. Source: Schrage 1968.
    """

    preemptive = True

    def rank(self, request: Request) -> float:
        cost, produced = self.cost, request.output_tokens
        if produced <= 0:
            return cost.service_s(request)
        # `remaining_s`, but without a call: it is asked of all that run.
        return cost.decode_s_per_token * request.estimate.remaining_mean(produced)
