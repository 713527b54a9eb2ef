"""Gittins index of the predicted distribution."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Gittins(Policy):
    """By the least expected work per completion, preemptive.

    Optimal in mean latency if sizes are unknown and their distribution is known (M/G/1): it tries
    a request that may end soon, and stops it if it has not.
    Source: Gittins 1979; Scully, Harchol-Balter and Scheller-Wolf 2018.
    """

    preemptive = True
    by_length = True

    def rank(self, request: Request) -> float:
        decode_s, produced = self.cost.decode_s_per_token, request.output_tokens
        setup = 0.0 if produced else self.cost.prefill_work_s(request) / decode_s
        return decode_s * request.estimate.gittins_tokens(produced, setup)
