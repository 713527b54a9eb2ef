"""Answer lengths that clients claim, and what follows where one proves wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headway.core.estimate import SizeEstimate
from headway.core.scheduler import Scheduler
from headway.gateway.work.work import Work
from headway.prediction.live.claims import Claims, most_tokens
from headway.prediction.live.history import LengthHistory, Origin


class ClaimedLengths:
    """Takes claims as they are from tenants whose claims come true.

    One answer that is longer than claimed is enough: it and all live requests of its tenant are
    ranked anew at once, as if they had claimed nothing, unless the claim is the larger estimate.

    Args:
        scheduler: ranks requests.
        works: every live request by id.
        clock: the scheduler's.
        history: what is expected of requests that claim nothing.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        works: Mapping[str, Work],
        clock: Callable[[], float],
        history: LengthHistory,
    ) -> None:
        self._scheduler = scheduler
        self._works = works
        self._clock = clock
        self._history = history
        self._claims = Claims()

    def estimate(
        self, origin: Origin, claimed_tokens: int, limit: int | None
    ) -> tuple[SizeEstimate, bool]:
        """What to expect of a request with that claim, and whether that is the claim."""
        if self._claims.believes(origin.tenant):
            return SizeEstimate.exactly(claimed_tokens), True
        predicted = self._history.estimate(origin, limit)
        return larger(predicted, claimed_tokens), False

    def outlived(self, work: Work) -> list[Work]:
        """`work` runs on though its answer is longer than claimed. Whose claims no longer count."""
        self._claims.refuted(work.origin.tenant)
        return self._disbelieve(work.origin.tenant)

    def ended(self, work: Work, finished: bool) -> list[Work]:
        """`work`, which had a claim, is over. Whose claims no longer count."""
        assert work.claimed_tokens is not None
        tenant = work.origin.tenant
        believed = self._claims.believes(tenant)
        self._claims.ended(tenant, work.claimed_tokens, work.output_tokens, finished)
        if believed and not self._claims.believes(tenant):
            return self._disbelieve(tenant)
        return []

    def _disbelieve(self, tenant: str) -> list[Work]:
        now_s = self._clock()
        disbelieved = []
        for work in self._works.values():
            claimed_tokens = work.claimed_tokens
            believed = work.predicted.claim_counts
            if claimed_tokens is None or not believed or work.origin.tenant != tenant:
                continue
            work.predicted.claim_counts = False
            predicted = self._history.estimate(work.origin, work.request.max_tokens)
            estimate = larger(predicted, claimed_tokens)
            self._scheduler.revise(work.request.id, estimate, None, now_s, from_start=True)
            disbelieved.append(work)
        return disbelieved


def larger(predicted: SizeEstimate, claimed_tokens: int | None) -> SizeEstimate:
    """What to expect of a request whose claim is not believed; None: it has none."""
    if claimed_tokens is None or predicted.mean >= claimed_tokens:
        return predicted
    return SizeEstimate.exactly(claimed_tokens)


def look_at(claimed_tokens: int) -> int:
    """The output tokens that prove a claim wrong."""
    return most_tokens(claimed_tokens) + 1
