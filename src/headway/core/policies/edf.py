"""Earliest deadline first."""

from headway.core.policies.policy import Policy
from headway.core.request import Request


class Edf(Policy):
    """By deadline, preemptive; requests without one come last, by arrival.

    Source: Liu and Layland 1973.
    """

    preemptive = True
    by_deadline = True

    def rank(self, request: Request) -> float:
        return float("inf") if request.deadline_s is None else request.deadline_s
