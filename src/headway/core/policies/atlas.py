"""Adaptive thread-level attained service."""

from headway.core.policies.mlfq import Mlfq
from headway.core.request import Request


class Atlas(Mlfq):
    """By the service attained along the longest path of steps that led to a request, in levels.

    As `plas`, but steps of a run that went on side by side count once: a wide run does not sink
    faster than a narrow one that is as long.
    Source: Autellix (Luo et al. 2025, arXiv:2502.13965): the priority of a call is the maximum of
    priority + service over its parents.
    """

    def attained_s(self, request: Request) -> float:
        return request.run_path_s + self.cost.attained_s(request)
