"""Runs the batches that this process holds, each from its input to its files.

Lines run as room for them allows, those of the batch with the least slack first. An answer is in
the journal before its line counts as done; answers that come at about the same time share a commit.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from headway.batches.batch import Batch, LineError, Status, WrongStatus
from headway.batches.folder import Folder
from headway.batches.input_file import in_order, read_input
from headway.batches.journal import Journal, LostBatch
from headway.batches.output_files import answered, write_files
from headway.batches.running import READ_AHEAD, RunningBatch
from headway.batches.schema import Held, PlannedLine, Result, StoredFile
from headway.batches.serving import Serving
from headway.batches.settings import BatchSettings
from headway.daily_hours import ZonedHours
from headway.store.transactions import Closed

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
"""How often a batch is looked at without cause: it may have expired, or another process may have
cancelled it."""
CLAIM_EVERY_S = 2.0
RETRY_S = 1.0
"""Pause before the disk is tried again."""
MOST_ATTEMPTS = 4
"""Runs of one line that may fail."""
MOST_UNWRITTEN_BYTES = 32 * 1024 * 1024
"""Answers that wait for the disk; no line begins above it."""


class Runner:
    """Drives batches on the event loop.

    Args:
        journal: what is to be done, and what is done.
        folder: inputs and outputs.
        settings: limits, and the window.
        serving: runs the lines.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        folder: Folder,
        settings: BatchSettings,
        serving: Serving,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._settings = settings
        self._serving = serving
        self._clock = clock
        self._window = ZonedHours.parse(settings.window) if settings.window else None
        self._running: dict[str, RunningBatch] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._unwritten_bytes = 0
        self._paused = self._stopping = False
        self._claiming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Claim batches that nobody holds, from now on."""
        self._claiming = asyncio.ensure_future(self._claim())

    def take(self, held: Held) -> None:
        """Run this batch, which this process holds."""
        life = asyncio.ensure_future(self._live(held))
        self._lives[held.batch.id] = life
        life.add_done_callback(lambda _: self._lives.pop(held.batch.id, None))

    def look(self, batch: str) -> None:
        """The batch was cancelled: look at it now."""
        if batch in self._running:
            self._running[batch].changed.set()

    def pause(self) -> None:
        """Begin no more lines; those under way go on."""
        self._paused = True

    def waits(self, owner: str) -> str:
        """Why no lines of this owner's batches begin now; empty: they may."""
        if self._window is not None and not self._window.include(self._clock()):
            return f"lines begin at {self._settings.window}"
        return self._serving.pause(owner)

    async def stop(self) -> None:
        """Stop everything, write down what was answered, and hold nothing any more."""
        self._paused = self._stopping = True
        tasks = [*self._lives.values(), *([self._claiming] if self._claiming else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(sqlite3.Error, Closed):
            await self._journal.release()

    # ---- the life of a batch ----------------------------------------------------------------

    async def _claim(self) -> None:
        while True:
            try:
                for held in await self._journal.claim(self._clock()):
                    logger.info("batch %s goes on: %s", held.batch.id, held.batch.status)
                    self.take(held)
            except sqlite3.Error as error:
                logger.warning("batches cannot be claimed: %s", error)
            await asyncio.sleep(CLAIM_EVERY_S)

    async def _live(self, held: Held) -> None:
        """Take a batch from where it is to its end."""
        while True:
            try:
                await self._go_on(held)
                return
            except WrongStatus:  # cancelled at this moment: it goes on from there
                continue
            except LostBatch:
                logger.warning("batch %s is run by another process now", held.batch.id)
                return
            except (sqlite3.Error, OSError) as error:
                if isinstance(error, FileNotFoundError):
                    await self._give_up(held, "input_file_lost", f"The input is gone: {error}.")
                    return
                logger.warning("batch %s waits for its disk: %s", held.batch.id, error)
            except Exception:  # a bug here must not leave it in progress for ever
                logger.exception("batch %s failed", held.batch.id)
                await self._give_up(held, "internal_error", "Headway failed; its log says why.")
                return
            await asyncio.sleep(RETRY_S)

    async def _go_on(self, held: Held) -> None:
        batch = await self._journal.status(held)
        if not batch.total and batch.status in (Status.VALIDATING, Status.CANCELLING):
            batch = await self._validate(held, batch)
        if batch.status is Status.IN_PROGRESS:
            batch = await self._run_lines(held, batch)
        if batch.status is Status.FINALIZING:
            await self._finish(held, batch, Status.COMPLETED)
        elif batch.status is Status.CANCELLING:
            await self._finish(held, batch, Status.CANCELLED)
        elif batch.status is Status.IN_PROGRESS:
            await self._finish(held, batch, Status.EXPIRED)
        self._folder.forget_input(batch.id)
        await self._journal.forget_lines(batch.id)

    async def _give_up(self, held: Held, code: str, message: str) -> None:
        def fail(batch: Batch) -> Batch:
            if batch.status.over:
                return batch
            failed = batch.moved(Status.FAILED, self._clock())
            return replace(failed, errors=(LineError(code, message),))

        with suppress(LostBatch, sqlite3.Error):
            await self._journal.change(held, fail)

    async def _validate(self, held: Held, batch: Batch) -> Batch:
        """Read the input, and write down which lines there are; or what is wrong with them."""
        settings = self._settings
        read = await asyncio.to_thread(
            read_input,
            self._folder.input(batch.id),
            batch.endpoint,
            settings.max_lines,
            settings.max_line_bytes,
        )
        errors = read.errors
        if not errors:
            wrong = await self._serving.wrong_model(batch.endpoint, read.model)
            errors = [] if wrong is None else [replace(wrong, line=read.requests[0].line)]

        def planned(batch: Batch) -> Batch:
            if batch.status is not Status.VALIDATING:  # cancelled meanwhile
                return replace(batch, model=read.model, total=len(lines))
            if errors:
                failed = batch.moved(Status.FAILED, self._clock())
                return replace(failed, errors=tuple(errors))
            begun = batch.moved(Status.IN_PROGRESS, self._clock())
            return replace(begun, model=read.model, total=len(lines))

        ordered = await asyncio.to_thread(in_order, [] if errors else read.requests)
        lines = [
            PlannedLine(place, one.line, one.at, one.bytes, one.custom_id)
            for place, one in enumerate(ordered)
        ]
        return await self._journal.plan(held, lines, planned)

    async def _run_lines(self, held: Held, batch: Batch) -> Batch:
        """Run lines until all have answers, or the batch expires or is cancelled."""
        running = RunningBatch(held, batch, self._folder.input(batch.id), self._clock())
        self._running[batch.id] = running
        try:
            while True:
                expired = self._clock() >= running.batch.expires_at
                if running.batch.status is Status.CANCELLING or expired:
                    return running.batch
                if running.wants_lines:
                    found = await self._journal.next_lines(batch.id, running.last_place, READ_AHEAD)
                    running.add(found, READ_AHEAD)
                self._feed()
                idle = not await self._write(running)
                if running.done:
                    return await self._journal.change(held, self._finalizing)
                if idle:
                    with suppress(TimeoutError):
                        # Not wait_for: it loses a cancellation that comes with the change.
                        async with asyncio.timeout(LOOK_EVERY_S):
                            await running.changed.wait()
                    running.changed.clear()
                    running.batch = await self._journal.status(held)
        finally:
            del self._running[batch.id]
            await self._end(running)

    def _finalizing(self, batch: Batch) -> Batch:
        if batch.status is Status.CANCELLING:
            return batch
        return batch.moved(Status.FINALIZING, self._clock())

    async def _end(self, running: RunningBatch) -> None:
        """Stop what runs, and write down what was answered."""
        for task in running.tasks:
            task.cancel()
        await asyncio.gather(*running.tasks, return_exceptions=True)
        running.close()
        with suppress(LostBatch):
            await self._write(running)
        self._feed()

    async def _finish(self, held: Held, batch: Batch, ended: Status) -> None:
        """Write the files of a batch, and with them its last status."""
        written = await asyncio.to_thread(
            write_files,
            self._folder,
            batch,
            ended,
            self._journal.answers(batch.id),
            self._clock(),
        )
        files = [one for one in (written.output, written.errors) if one is not None]

        def finished(batch: Batch) -> Batch:
            return replace(
                batch.moved(ended, self._clock()),
                output_file_id=_id(written.output),
                error_file_id=_id(written.errors),
                completed=written.completed,
                failed=written.failed,
            )

        try:
            batch = await self._journal.change(held, finished, files)
        except BaseException:
            for file in files:
                self._folder.remove(file.id)
            raise
        logger.info(
            "batch %s is %s: %d of %d lines completed",
            batch.id,
            ended,
            batch.completed,
            batch.total,
        )

    # ---- lines ------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Begin as many lines as there is room for."""
        now = self._clock()
        if self._paused:
            return
        batches = list(self._running.values())
        if len(batches) > 1:
            batches.sort(key=lambda one: one.slack_s(now))
        in_hand = sum(len(one.tasks) + len(one.unwritten) for one in batches)
        for running in batches:
            batch = running.batch
            if self.waits(batch.owner):
                continue
            room = self._serving.room(batch.endpoint, batch.model or "") - sum(
                len(one.tasks) for one in batches if one.batch.model == batch.model
            )
            while room > 0 and in_hand < self._settings.max_at_once:
                if self._unwritten_bytes > MOST_UNWRITTEN_BYTES:
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
        self._feed()

    async def _line(self, running: RunningBatch, line: PlannedLine, attempt: int) -> None:
        """Ask one line, and keep its answer."""
        batch, now = running.batch, self._clock()
        try:
            answer = await self._serving.answer(
                batch.id, batch.endpoint, running.body(line), batch.owner, batch.expires_at - now
            )
        except OSError as error:
            logger.warning("line %d of %s cannot be read: %s", line.line, batch.id, error)
            running.again(line, attempt, now + RETRY_S)
            return
        if answer.again_after_s is not None and (not answer.counts or attempt < MOST_ATTEMPTS):
            at = self._clock() + answer.again_after_s * (1 if not answer.counts else attempt)
            running.again(line, attempt + answer.counts, at)
            return
        text = answered(batch.id, line.line, line.custom_id, answer)
        self._unwritten_bytes += len(text)
        running.unwritten.append(
            Result(line.line, attempt, 200 <= answer.status < 300, text, answer.usage)
        )

    async def _write(self, running: RunningBatch) -> bool:
        """Write down the answers that are not in the journal; returns whether there were any.

        Answers are paid: where the disk refuses them, it is tried until it takes them.
        """
        results, running.unwritten = running.unwritten, []
        if not results:
            return False
        size = sum(len(one.answer) for one in results)
        try:
            while True:
                try:
                    running.batch = await self._journal.record(running.held, results)
                    return True
                except sqlite3.Error as error:
                    if self._stopping:
                        raise
                    logger.warning(
                        "answers of batch %s wait for the disk: %s", running.batch.id, error
                    )
                    await asyncio.sleep(RETRY_S)
        except asyncio.CancelledError:
            running.unwritten[:0] = results  # whether they were written or not: it does no harm
            self._unwritten_bytes += size
            raise
        finally:
            self._unwritten_bytes -= size


def _id(file: StoredFile | None) -> str | None:
    return None if file is None else file.id
