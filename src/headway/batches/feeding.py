"""Begins lines as there is room for them, those of the batch with the least slack first."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from headway.batches.outlook import Outlook
from headway.batches.output_files import answered
from headway.batches.running import RunningBatch
from headway.batches.schema import PlannedLine, Result
from headway.batches.serving import Asked, Serving
from headway.batches.settings import BatchSettings

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""Pause before the disk is tried again."""
MOST_RUNS = 5
"""Runs of one line that may fail: as many as the gateway gives any request before it answers an
error, so that what has used them up there is not run again."""
MOST_UNWRITTEN_BYTES = 32 * 1024 * 1024
"""Answers that wait for the disk; no line begins above it."""


class Feeder:
    """Runs lines of the batches in `running`.

    Args:
        settings: how many at once.
        serving: runs the lines.
        outlook: knows which may begin.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        settings: BatchSettings,
        serving: Serving,
        outlook: Outlook,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.running: dict[str, RunningBatch] = {}
        """By id; lines of these begin."""
        self.answers: Counter[int] = Counter()
        """Lines that were answered, by HTTP status."""
        self._settings = settings
        self._serving = serving
        self._clock = clock
        self._outlook = outlook
        self._paused = False

    def pause(self) -> None:
        """Begin no more lines; those under way go on."""
        self._paused = True

    def feed(self) -> None:
        """Begin as many lines as there is room for."""
        now = self._clock()
        if self._paused:
            return
        batches = list(self.running.values())
        if len(batches) > 1:
            batches.sort(key=lambda one: one.batch.expires_at - one.work_s)
        in_hand = sum(len(one.tasks) + len(one.unwritten) for one in batches)
        for running in batches:
            batch = running.batch
            may_begin = batch.paused_at is None and not self._outlook.waits(batch, now)
            running.seen(now, may_begin)
            if not may_begin:
                continue
            room = self._serving.room(batch.endpoint, batch.model or "") - sum(
                len(one.tasks) for one in batches if one.batch.model == batch.model
            )
            while room > 0 and in_hand < self._settings.max_at_once:
                if sum(one.unwritten_bytes for one in batches) > MOST_UNWRITTEN_BYTES:
                    return
                found = running.next(now)
                if found is None:
                    break
                task = asyncio.ensure_future(self._line(running, *found))
                running.tasks.add(task)
                task.add_done_callback(partial(self._ended, running))
                room -= 1
                in_hand += 1

    def _ended(self, running: RunningBatch, task: asyncio.Task[None]) -> None:
        running.tasks.discard(task)
        running.changed.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error("a line of %s failed", running.batch.id, exc_info=task.exception())
        self.feed()

    async def _line(self, running: RunningBatch, line: PlannedLine, run: int) -> None:
        """Ask one line, and keep its answer."""
        batch, now = running.batch, self._clock()
        try:
            answer = await self._serving.answer(
                Asked(
                    batch=batch.id,
                    endpoint=batch.endpoint,
                    tenant=batch.owner,
                    key_name=batch.key_name,
                    body=running.body(line),
                    left_s=batch.expires_at - now,
                    key=f"{batch.id}-{line.line}-{run}",
                )
            )
        except OSError as error:
            logger.warning("line %d of %s cannot be read: %s", line.line, batch.id, error)
            running.again(line, run, now + RETRY_S)
            return
        failed = answer.failed_runs
        if answer.again_after_s is not None and (not failed or run + failed <= MOST_RUNS):
            at = self._clock() + answer.again_after_s * (run if failed else 1)
            running.again(line, run + failed, at)
            return
        self.answers[answer.status] += 1
        text = answered(batch.id, line.line, line.custom_id, answer)
        running.unwritten_bytes += len(text)
        running.unwritten.append(
            Result(line.line, run, 200 <= answer.status < 300, text, answer.usage)
        )
