"""Gittins index of what remains of a run."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class RunGittins(Policy):
    """By the least expected work per completed run, preemptive.

    The work is what remains of the request, in the mean, and then what comes after it in its run,
    a distribution: learned from earlier runs, or claimed by the client. A request without a run,
    or of which nothing is known to come, is ranked as under `srpt`.
    Source: Gittins 1979; for programs Hermes (2025, arXiv:2506.14851).
    """

    preemptive = True
    by_length = True
    needs_predictor = True

    def rank(self, request: Request) -> float:
        own_s = self.cost.remaining_s(request)
        if request.to_come is None:
            return own_s
        return request.to_come.gittins_tokens(0, 1000.0 * own_s) / 1000.0

    def size_s(self, request: Request) -> float:
        return self.cost.remaining_s(request)
