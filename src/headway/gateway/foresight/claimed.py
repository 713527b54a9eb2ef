"""Output lengths that clients claim, and what happens when a claim proves wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headway.core.estimate import SizeEstimate
from headway.core.scheduler import Scheduler
from headway.gateway.work.work import Work
from headway.prediction.live.claims import Claims, most_tokens
from headway.prediction.live.history import LengthHistory, Origin


class ClaimedLengths:
    """Believes the claims of a tenant until one of its answers is longer than claimed.

    Then all live requests of the tenant are ranked again at once, by the larger of their claim and
    the estimate from history. Enough true claims in a row restore the trust (`Claims`).

    Args:
        scheduler: ranks requests.
        works: every live request by id.
        clock: the scheduler's clock.
        history: estimates requests without a claim.
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
        """The estimate of a request with this claim, and whether the claim is believed."""
        if self._claims.believes(origin.tenant):
            return SizeEstimate.exactly(claimed_tokens), True
        predicted = self._history.estimate(origin, limit)
        return larger(predicted, claimed_tokens), False

    def exceeded(self, work: Work) -> list[Work]:
        """`work` still runs but is longer than claimed. Returns those whose claims lose effect."""
        self._claims.refuted(work.origin.tenant)
        return self._disbelieve(work.origin.tenant)

    def ended(self, work: Work, finished: bool) -> list[Work]:
        """`work`, which had a claim, has ended. Returns those whose claims lose effect."""
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
    """The estimate of a request whose claim is not believed: the larger one; None: no claim."""
    if claimed_tokens is None or predicted.mean >= claimed_tokens:
        return predicted
    return SizeEstimate.exactly(claimed_tokens)


def look_at(claimed_tokens: int) -> int:
    """The number of output tokens that proves a claim wrong."""
    return most_tokens(claimed_tokens) + 1
