"""The deadline of a run, split over its steps."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Urgency(Policy):
    """By the latest moment to start and still leave the rest of the run its share, preemptive.

    Of the time until the deadline of the run, a step gets the share that it has of the work on the
    longest path to the end: t / (t + what comes after). Each step is split anew when it arrives,
    so what earlier ones lost or saved is spread over the rest. HexGen's urgency, t - (share -
    elapsed), is this rank, negated, plus the time, which is the same for all. Requests without a
    deadline come last. Where what comes after is not known, this is `slack`.
    Source: HexGen-Text2SQL (Peng et al. 2025, arXiv:2505.05286).
    """

    preemptive = True
    by_deadline = True

    def rank(self, request: Request) -> float:
        if request.deadline_s is None:
            return float("inf")
        own_s = self.cost.whole_s(request)
        share = own_s / (own_s + request.after_s)
        step_s = (request.deadline_s - request.arrival_s) * share
        return request.arrival_s + step_s - self.cost.duration_s(request)
