"""What the policy gained in the last hour, for those who look on."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import msgspec

from headway.gateway.api.views import GainView
from headway.gateway.foresight.background import CommandFailed, answer_of
from headway.gateway.foresight.recent_traffic import RecentTraffic

logger = logging.getLogger(__name__)

EVERY_S = 300.0
WINDOW_S = 3600.0
LIMIT_S = 120.0


class Gain:
    """Asks `headway replay`, a process at idle priority, while anybody looks.

    Args:
        traffic: what is replayed.
    """

    def __init__(self, traffic: RecentTraffic) -> None:
        self.view: GainView | None = None
        """The last answer; None before the first."""
        self._traffic = traffic
        self._asked_s = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Somebody looks: ask anew if the last answer is old."""
        now_s = self._traffic.clock()
        if self._task is None and now_s - self._asked_s >= EVERY_S:
            self._asked_s = now_s
            self._task = asyncio.create_task(self._ask(), name="ask what the policy gains")

    async def close(self) -> None:
        """Wait for no answer any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _ask(self) -> None:
        question = self._traffic.question(window_s=WINDOW_S, about="gain")
        try:
            asked = msgspec.json.encode(question)
            self.view = await answer_of(["replay"], GainView, LIMIT_S, asked)
        except (TimeoutError, CommandFailed) as failure:
            why = str(failure).removeprefix("headway replay: ") or "the replay took too long"
            logger.info("what the policy gains is not known: %s", why)
            self.view = GainView(policy=question.current, requests=0, share=None, reason=why)
        finally:
            self._task = None
