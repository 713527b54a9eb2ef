"""Learning to rank."""

from math import log2

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Ltr(Policy):
    """By the score of a learned ranker; prompts and tokens already produced do not count.

    A request without a score ranks by its estimate, on the same scale. A running request stops for
    one ranked before it if that saves time by their estimates.
    Source: Fu et al., NeurIPS 2024.
    """

    preemptive = True
    by_length = True
    needs_predictor = True

    def rank(self, request: Request) -> float:
        return request.score if request.score is not None else log2(request.estimate.mean)

    def size_s(self, request: Request) -> float:
        return self.cost.remaining_s(request)

    def gain_s(self, waiting: Request, running: Request) -> float:
        # The order ignores prompts and tokens already produced; the gain must not. By the order
        # alone, a request about to end would be stopped for a long prompt, and below saturation
        # requests would wait longer than under `fcfs`.
        if self.rank(running) <= self.rank(waiting):
            return 0.0
        return self.size_s(running) - self.size_s(waiting)
