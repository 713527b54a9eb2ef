"""First come, first served."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Fcfs(Policy):
    """By arrival."""

    def rank(self, request: Request) -> float:
        return request.arrival_s
