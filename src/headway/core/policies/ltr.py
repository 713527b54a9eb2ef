"""Learning to rank."""

from math import log2

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Ltr(Policy):
    """By the score of a learned ranker; prompts and tokens already produced do not count.

    A request that nobody scored yet ranks by its estimate, on the same scale. Who is ranked behind
    one that waits is stopped for it where that saves time by their estimates.
    Source: Fu et al., NeurIPS 2024.
    """

    preemptive = True
    by_length = True
    needs_predictor = True

    def rank(self, request: Request) -> float:
        return request.score if request.score is not None else log2(request.estimate.mean)

    def gain_s(self, waiting: Request, running: Request) -> float:
        # The order leaves out prompts and tokens already produced. What stopping somebody wins does
        # not: by the order alone who is about to end would be stopped for a long prompt, and below
        # saturation requests would wait longer than under `fcfs`.
        return self.cost.remaining_s(running) - self.cost.remaining_s(waiting)
