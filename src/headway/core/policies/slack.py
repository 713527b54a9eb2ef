"""Least slack first."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Slack(Policy):
    """By the latest moment to start and still meet the deadline, preemptive.

    Slack is deadline - now - remaining duration, of the request and of what comes after it in its
    run. `now` is the same for all requests, so the rank omits it and never goes stale.
    Source: Mok 1983 (least laxity).
    """

    preemptive = True
    by_deadline = True

    def rank(self, request: Request) -> float:
        if request.deadline_s is None:
            return float("inf")
        return request.deadline_s - self.cost.duration_s(request) - request.after_s
