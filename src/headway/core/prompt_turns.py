"""Prompts in pieces: which prompt of a backend is computed next.

An engine computes prompts beside the answers of others, several in one iteration, first come first
served. A long one delays whatever comes while it is computed, and nothing can call it back. So on
backends that take prompts in pieces, those of lower tiers come piece by piece while requests of
higher tiers are about; between two pieces the prompts of higher tiers have their turn. A request
in pieces also gives its slot to a higher tier at any moment: what was computed of its prompt is in
the engine's cache.
"""

from __future__ import annotations

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.request import Request, Tier

ABOUT_S = 60.0
"""A tier is about for so long after one of its requests started on a backend."""
PIECE_S = 0.035
"""Time of a piece: so long may a prompt of a higher tier have to wait for it."""
LEAST_PIECE_TOKENS = 16
"""Of fewer, a piece costs more outside of the engine's loop than in it."""


def piece_tokens(cost: CostModel) -> int:
    """Number of prompt tokens in a piece."""
    return max(LEAST_PIECE_TOKENS, int(PIECE_S / cost.prefill_s_per_token))


class PromptTurns:
    """Decides which prompts come in pieces, and whose turn it is.

    Args:
        possible: whether a request ever gives way to one of a higher tier.
    """

    __slots__ = ("_possible",)

    def __init__(self, possible: bool) -> None:
        self._possible = possible

    def start(self, request: Request, backend: Backend, now_s: float) -> None:
        """`request` starts on `backend`: decide whether its prompt comes in pieces."""
        request.in_pieces = False
        if not backend.piecewise or not self._possible:
            return
        tier = request.tier
        if tier and request.preemptible and not request.output_tokens:
            about_s = now_s - ABOUT_S
            request.in_pieces = any(at_s > about_s for at_s in backend.last_start_s[:tier])
        if tier < Tier.BATCH:  # nothing is below it
            backend.last_start_s[tier] = now_s

    def may_go_on(self, request: Request, backend: Backend, now_s: float) -> bool:
        """Whether the next piece of `request`, which runs on `backend`, may be computed now.

        One that is due by its starvation bound waits for nobody.
        """
        if not request.in_pieces or request.due_s <= now_s:
            return True
        place = request.tier, request.resumed_s, request.sequence
        return not any(
            (other.tier, other.resumed_s, other.sequence) < place
            for other in backend.prompts.values()
            if other.in_pieces or other.tier < request.tier
        )
