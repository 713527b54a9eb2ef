"""What was decided lately, for those who look on: preemptions, and the worst waits of an hour."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from headway.core.decision import Decision, Preempt, Start
from headway.core.request import Request, Tier

KEPT = 100
"""Preemptions that are remembered."""
BUCKET_S = 60.0
WINDOW_S = 3600.0


class Preemption(NamedTuple):
    """One request gave its slot to another."""

    at_s: float
    id: str
    tier: Tier
    tenant: str
    backend: str
    output_tokens: int
    """It had by then, and keeps."""
    winner_id: str
    winner_tier: Tier
    winner_tenant: str


class Recent:
    """The last preemptions, and for each tier the longest wait of each minute of an hour."""

    def __init__(self) -> None:
        self.preemptions: deque[Preemption] = deque(maxlen=KEPT)
        self._waits: dict[Tier, deque[tuple[float, float]]] = {tier: deque() for tier in Tier}
        """By tier: the beginning of a minute, and the longest wait that ended in it."""

    def decided(self, decisions: Sequence[Decision], now_s: float) -> None:
        """The scheduler decided this: a preemption, and who starts instead, are neighbours."""
        for decision, following in pairwise((*decisions, None)):
            if isinstance(decision, Start):
                if decision.request.started_s == now_s:  # for the first time
                    self._started(decision.request, now_s)
            elif isinstance(decision, Preempt) and isinstance(following, Start):
                self._preempted(decision, following.request, now_s)

    def worst_wait_s(self, tier: Tier, now_s: float) -> float | None:
        """The longest wait of requests of `tier` that first started in the last hour."""
        waits = self._waits[tier]
        while waits and waits[0][0] < now_s - WINDOW_S:
            waits.popleft()
        return max((wait_s for _, wait_s in waits), default=None)

    def _started(self, request: Request, now_s: float) -> None:
        waits, wait_s = self._waits[request.tier], now_s - request.arrival_s
        if not waits or now_s - waits[-1][0] >= BUCKET_S:
            waits.append((now_s, wait_s))
            self.worst_wait_s(request.tier, now_s)  # forgets what is over
        elif wait_s > waits[-1][1]:
            waits[-1] = waits[-1][0], wait_s

    def _preempted(self, preempt: Preempt, winner: Request, now_s: float) -> None:
        request = preempt.request
        self.preemptions.append(
            Preemption(
                now_s, request.id, request.tier, request.tenant, preempt.backend,
                request.output_tokens, winner.id, winner.tier, winner.tenant,
            )
        )  # fmt: skip
