"""Prompts that come in pieces, and wait for those of others between two."""

from __future__ import annotations

from collections.abc import Callable

from headway.core.prompt_turns import piece_tokens
from headway.core.scheduler import Scheduler
from headway.gateway.work.work import Work


class HeldPrompts:
    """Lets prompts go on, piece by piece, when the scheduler says so.

    Args:
        scheduler: says which may go on.
        clock: returns seconds; never goes backwards.
    """

    def __init__(self, scheduler: Scheduler, clock: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._held: set[Work] = set()

    async def turn(self, work: Work) -> None:
        """Wait until the next piece of the prompt of `work` may be computed, or it is stopped."""
        turn = work.turn
        self._held.add(work)
        try:
            while turn.stopped is None and not self._may_go_on(work, self._clock()):
                await turn.change()
        finally:
            self._held.discard(work)

    def piece_tokens(self, work: Work) -> int:
        """Number of tokens in a piece of the prompt of `work`, which runs."""
        return piece_tokens(self._scheduler.backends[work.served.backend].cost)

    def let_on(self, now_s: float) -> None:
        """Wake those whose prompts may go on."""
        for work in self._held:
            if self._may_go_on(work, now_s):
                work.turn.wake()

    def _may_go_on(self, work: Work, now_s: float) -> bool:
        """Whether the next piece of its prompt may be computed; False: it does not run."""
        request = work.request
        return bool(request.backend) and self._scheduler.may_go_on(request.id, now_s)
