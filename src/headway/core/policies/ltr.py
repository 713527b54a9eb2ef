"""Learning to rank."""

from math import exp2, log2

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Ltr(Policy):
    """By the score of a learned ranker, preemptive; tokens already produced do not count.

    A request that nobody scored yet ranks by its estimate, on the same scale.
    Source: Fu et al., NeurIPS 2024.
    """

    preemptive = True
    by_length = True
    needs_predictor = True

    def rank(self, request: Request) -> float:
        return request.score if request.score is not None else log2(request.estimate.mean)

    def gain_s(self, waiting: Request, running: Request) -> float:
        expected_tokens = exp2(self.rank(running)) - exp2(self.rank(waiting))
        return self.cost.decode_s_per_token * expected_tokens
