"""Program-level attained service."""

from headway.core.policies.mlfq import Mlfq
from headway.core.request import Request


class Plas(Mlfq):
    """By the service that the run of a request has attained, in levels, preemptive.

    As `mlfq`, but what earlier requests of the run attained counts too: a run that has had much
    sinks as a whole. Among runs of one request each, it is `mlfq`.
    Source: Autellix (Luo et al. 2025, arXiv:2502.13965).
    """

    def attained_s(self, request: Request) -> float:
        return request.run_service_s + self.cost.attained_s(request)
