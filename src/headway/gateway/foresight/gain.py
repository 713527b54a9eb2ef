"""What the policy gained in the last hour, for those who look on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from headway.core.scheduler import Scheduler
from headway.gateway.api.views import GainView
from headway.gateway.foresight.background import CommandFailed, answer_of
from headway.gateway.foresight.question import MOST_REPLAYED, question_of

logger = logging.getLogger(__name__)

EVERY_S = 300.0
WINDOW_S = 3600.0
LIMIT_S = 120.0


class Gain:
    """Asks `headway replay`, a process at idle priority, while anybody looks.

    Args:
        scheduler: whose policy, settings and backends count.
        request_log: the SQLite file with the traffic.
        flush: writes down what has ended.
        clock: the scheduler's.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        request_log: Path,
        flush: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.view: GainView | None = None
        """The last answer; None before the first."""
        self._scheduler = scheduler
        self._request_log = request_log
        self._flush = flush
        self._clock = clock
        self._asked_s = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Somebody looks: ask anew if the last answer is old."""
        if self._task is None and self._clock() - self._asked_s >= EVERY_S:
            self._asked_s = self._clock()
            self._task = asyncio.create_task(self._ask(), name="ask what the policy gains")

    async def close(self) -> None:
        """Wait for no answer any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _ask(self) -> None:
        self._flush()
        question = question_of(
            self._scheduler,
            self._request_log,
            self._clock(),
            current=self._scheduler.policy_name,
            window_s=WINDOW_S,
            most_requests=MOST_REPLAYED,
            about="gain",
        )
        try:
            asked = msgspec.json.encode(question)
            self.view = await answer_of(["replay"], GainView, LIMIT_S, asked)
        except (TimeoutError, CommandFailed) as failure:
            why = str(failure).removeprefix("headway replay: ") or "the replay took too long"
            logger.info("what the policy gains is not known: %s", why)
            self.view = GainView(policy=question.current, requests=0, share=None, reason=why)
        finally:
            self._task = None
