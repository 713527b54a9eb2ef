"""First come, first served, by runs."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class RunFcfs(Policy):
    """By the arrival of the first request of the run; never preempts.

    A run that began earlier goes before all later ones to its end.
    """

    def rank(self, request: Request) -> float:
        return request.run_arrival_s
