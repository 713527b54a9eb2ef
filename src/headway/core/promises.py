"""What the scheduler promises a request: how long it takes, and when it must start."""

from __future__ import annotations

from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.core.settings import SchedulerSettings
from headway.core.starvation import due_s

OPTIMISTIC_QUANTILE = 0.1
"""A deadline counts as missed when even an answer this short would miss it."""


class Promises:
    """Sets service time, due time and latest start of requests, by the reference cost model.

    Args:
        settings: has the limits of the tiers, and the cost model to begin with.
    """

    def __init__(self, settings: SchedulerSettings) -> None:
        self.cost = settings.cost
        self._tiers = [settings.tier(tier) for tier in Tier]

    def make(self, request: Request) -> None:
        """Set what follows from the estimate of `request`, its tier and its deadline."""
        cost = self.cost
        request.service_s = cost.service_s(request)
        if not request.output_tokens:
            request.predicted_tokens = request.estimate.mean
        request.due_s = due_s(request, self._tiers[request.tier], cost.duration_s(request))
        if request.deadline_s is not None:
            shortest_s = (
                cost.prefill_s(request)
                + request.estimate.quantile(OPTIMISTIC_QUANTILE) * cost.decode_s_per_token
            )
            request.latest_start_s = request.deadline_s - shortest_s

    def revise(
        self, request: Request, estimate: SizeEstimate, score: float | None, from_start: bool
    ) -> None:
        """Replace the estimate and the score of `request`, and what follows from them.

        The due time only moves earlier, unless `from_start`: then due time and initial prediction
        become what this estimate would have given at arrival.
        """
        promised_s = request.due_s
        request.estimate, request.score = estimate, score
        self.make(request)
        if from_start:
            request.predicted_tokens = estimate.mean
            tier = self._tiers[request.tier]
            request.due_s = due_s(request, tier, self.cost.whole_s(request))
        else:
            request.due_s = min(promised_s, request.due_s)

    def move(self, request: Request, tier: Tier) -> None:
        """Move `request` to `tier`; its due time only moves earlier."""
        promised_s = request.due_s
        request.tier = tier
        self.make(request)
        request.due_s = min(promised_s, request.due_s)

    def downgrade(self, request: Request) -> None:
        """Move `request`, which cannot meet its deadline, to the lowest tier without one."""
        request.deadline_s = None
        request.tier = Tier.BATCH
        self.make(request)
