"""Runs the batches that this process holds, each from its input to its files.

An answer is in the journal before its line counts as done; answers that come at about the same time
share a commit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from headway.batches.batch import Batch, LineError, Status, WrongStatus
from headway.batches.claims import LostBatch
from headway.batches.feeding import RETRY_S, Feeder
from headway.batches.folder import Folder
from headway.batches.input_file import in_order, read_input
from headway.batches.journal import Journal
from headway.batches.outlook import Outlook
from headway.batches.output_files import write_files
from headway.batches.progress import Progress
from headway.batches.running import READ_AHEAD, RunningBatch
from headway.batches.schema import Held, PlannedLine, StoredFile
from headway.batches.serving import Serving
from headway.batches.settings import BatchSettings
from headway.batches.shared_files import SharedFiles
from headway.store.transactions import Closed, Refused

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
"""How often a batch is looked at without cause: it may have expired, or another process may have
cancelled it."""
CLAIM_EVERY_S = 1.0
STOP_S = 10.0
"""How long the last answers wait for a database that is away."""


class Runner:
    """Drives batches on the event loop.

    Args:
        journal: what is to be done, and what is done.
        folder: inputs and outputs.
        shared: the originals of these, where gateways share a database.
        settings: limits, and the window.
        serving: runs the lines.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        folder: Folder,
        shared: SharedFiles | None,
        settings: BatchSettings,
        serving: Serving,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._shared = shared
        self._settings = settings
        self._serving = serving
        self._clock = clock
        self._outlook = Outlook(settings.window, serving)
        self._feeder = Feeder(settings, serving, self._outlook, clock)
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._beginning: set[str] = set()
        self._standing: dict[str, str] = {}
        """Where each batch in `_lives` stands."""
        self._ended: Counter[str] = Counter()
        self._stopping = False
        self._claiming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Claim batches that nobody holds, from now on."""
        self._claiming = asyncio.ensure_future(self._claim())

    async def begin(self, batch: Batch) -> None:
        """Add a batch, and run it."""
        self._beginning.add(batch.id)
        try:
            self._take(await self._journal.add(batch))
        finally:
            self._beginning.discard(batch.id)

    def _take(self, held: Held) -> None:
        """Run this batch, which this process holds."""
        life = asyncio.ensure_future(self._live(held))
        self._lives[held.batch.id] = life
        self._standing[held.batch.id] = str(held.batch.status)
        life.add_done_callback(lambda _: self._forget(held.batch.id))

    def _forget(self, batch: str) -> None:
        self._lives.pop(batch, None)
        self._standing.pop(batch, None)

    def look(self, batch: str) -> None:
        """Somebody changed the batch: look at it now."""
        if batch in self._feeder.running:
            self._feeder.running[batch].changed.set()

    def pause(self) -> None:
        """Begin no more lines; those under way go on."""
        self._feeder.pause()

    def progress(self) -> Progress:
        """How far the batches are that this process holds."""
        now = self._clock()
        running = list(self._feeder.running.values())
        paused = sum(one.batch.paused_at is not None for one in running)
        ends_at = [self._outlook.ends_at(one.batch, one.work_s, now) for one in running]
        slack_s = [self._outlook.slack_s(one.batch, one.work_s, now) for one in running]
        by_status = Counter(self._standing.values())
        by_status[str(Status.IN_PROGRESS)] -= paused
        return Progress(
            batches=by_status + Counter(paused=paused),
            ended=self._ended,
            answers=self._feeder.answers,
            open_lines=sum(one.batch.left for one in running),
            lines_under_way=sum(len(one.tasks) for one in running),
            to_end_s=max((at - now for at in ends_at if at is not None), default=0.0),
            slack_s=min(slack_s, default=None),
        )

    def waits(self, batch: Batch) -> str:
        """Why no lines of this batch begin now; empty: they may, or somebody paused it."""
        return self._outlook.waits(batch, self._clock())

    def ends_at(self, batch: Batch) -> float | None:
        """When it is predicted to end; None: not known, or not here."""
        running = self._feeder.running.get(batch.id)
        if running is None:
            return None
        return self._outlook.ends_at(batch, running.work_s, self._clock())

    async def stop(self) -> None:
        """Stop everything, write down what was answered, and hold nothing any more."""
        self._feeder.pause()
        self._stopping = True
        tasks = [*self._lives.values(), *([self._claiming] if self._claiming else [])]
        for task in tasks:
            task.cancel()
        try:
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*tasks, return_exceptions=True)
                with suppress(Refused, Closed):
                    await self._journal.release()
        except TimeoutError:
            logger.warning("the database of batches is away: what it did not get runs again")

    # ---- the life of a batch ----------------------------------------------------------------

    async def _claim(self) -> None:
        while True:
            try:
                for held in await self._journal.claim({*self._lives, *self._beginning}):
                    logger.info("batch %s goes on: %s", held.batch.id, held.batch.status)
                    self._take(held)
            except Refused as error:
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
            except (Refused, OSError) as error:
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
        if self._shared is not None and batch.status is not Status.FINALIZING:
            await self._shared.copy_input(batch.id, batch.input_file_id)
        if not batch.total and batch.status in (Status.VALIDATING, Status.CANCELLING):
            batch = await self._validate(held, batch)
            self._ended[str(Status.FAILED)] += batch.status is Status.FAILED
        self._standing[batch.id] = str(batch.status)
        if batch.status is Status.IN_PROGRESS:
            batch = await self._run_lines(held, batch)
        self._standing[batch.id] = str(batch.status)
        if batch.status is Status.FINALIZING:
            await self._finish(held, batch, Status.COMPLETED)
        elif batch.status is Status.CANCELLING:
            await self._finish(held, batch, Status.CANCELLED)
        elif batch.status is Status.IN_PROGRESS:
            await self._finish(held, batch, Status.EXPIRED)
        self._folder.forget_input(batch.id)
        await self._journal.forget_lines(batch.id)
        if self._shared is not None:
            await self._journal.forget_pieces(batch.input_file_id)

    async def _give_up(self, held: Held, code: str, message: str) -> None:
        def fail(batch: Batch) -> Batch:
            if batch.status.over:
                return batch
            failed = batch.moved(Status.FAILED, self._clock())
            return replace(failed, errors=(LineError(code, message),))

        with suppress(LostBatch, Refused):
            await self._journal.change(held, fail)
            self._ended[str(Status.FAILED)] += 1

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
        running = RunningBatch(held, batch, self._folder.input(batch.id))
        self._feeder.running[batch.id] = running
        try:
            while True:
                expired = self._clock() >= running.batch.expires_at
                if running.batch.status is Status.CANCELLING or expired:
                    return running.batch
                if running.wants_lines:
                    found = await self._journal.next_lines(batch.id, running.last_place, READ_AHEAD)
                    running.add(found, READ_AHEAD)
                self._feeder.feed()
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
            del self._feeder.running[batch.id]
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
        self._feeder.feed()

    async def _finish(self, held: Held, batch: Batch, ended: Status) -> None:
        """Write the files of a batch, and with them its last status.

        Who sees that status finds in the log what its lines cost.
        """
        await self._serving.written()
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
            if batch.status is ended:  # it was committed, and the answer to that was lost
                return batch
            return replace(
                batch.moved(ended, self._clock()),
                output_file_id=_id(written.output),
                error_file_id=_id(written.errors),
                completed=written.completed,
                failed=written.failed,
            )

        try:
            if self._shared is not None:
                for file in files:
                    await self._shared.keep(file.id)
            batch = await self._journal.change(held, finished, files)
        except Exception:  # no cancellation: a commit under way goes on, and needs the files
            for file in files:
                self._folder.remove(file.id)
                if self._shared is not None:
                    await self._shared.forget(file.id)
            raise
        self._ended[str(ended)] += 1
        logger.info(
            "batch %s is %s: %d of %d lines completed",
            batch.id,
            ended,
            batch.completed,
            batch.total,
        )

    async def _write(self, running: RunningBatch) -> bool:
        """Write down the answers that are not in the journal; returns whether there were any.

        Answers are paid: where the disk refuses them, it is tried until it takes them. What they
        cost is in the log before: after a crash nobody asks for them again, nor for that.
        """
        results, running.unwritten = running.unwritten, []
        if not results:
            return False
        size = sum(len(one.answer) for one in results)
        try:
            await self._serving.written()
            while True:
                try:
                    running.batch = await self._journal.record(running.held, results)
                    return True
                except Refused as error:
                    if self._stopping:
                        raise
                    logger.warning(
                        "answers of batch %s wait for the disk: %s", running.batch.id, error
                    )
                    await asyncio.sleep(RETRY_S)
        except asyncio.CancelledError:
            running.unwritten[:0] = results  # whether they were written or not: it does no harm
            running.unwritten_bytes += size
            raise
        finally:
            running.unwritten_bytes -= size


def _id(file: StoredFile | None) -> str | None:
    return None if file is None else file.id
