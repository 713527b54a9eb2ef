"""One run in memory: its body runs from the beginning, and its journal fills in what it had.

A run that only waits is put down: its body is cancelled, and what remains of it is a row. So a
thousand runs that wait for people cost a thousand rows.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from headway.workflows import errors, steps, values, waits
from headway.workflows.breakers import Breakers
from headway.workflows.catalog import Catalog
from headway.workflows.costs import Costs
from headway.workflows.definition import Task, Workflow, called
from headway.workflows.grants import Grants
from headway.workflows.journal.errors import LostRun
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow, RunState, StepRow
from headway.workflows.llm import Gateway
from headway.workflows.scope import Scope

Written = TypeVar("Written")

logger = logging.getLogger(__name__)

LINGER_S = 0.05
"""How long a run that only waits stays in memory: a wait that is shorter costs no replay."""
PATIENCE_S = 5.0
CANCELLATIONS = 3
"""How long a body that was cancelled may take to end, and how often it is cancelled."""
KEEP_S = 1.0
"""One whose next wait is due so soon stays, too."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the runs of a worker share."""

    journal: Journal
    gateway: Gateway
    grants: Grants
    breakers: Breakers
    costs: Costs
    catalog: Catalog
    wake: Callable[[], None]
    """Called when there is a new run."""
    ended: Callable[[RunRow, Iterable[StepRow]], None]
    """Called with a run that ended, and its steps."""
    clock: Callable[[], float] = time.time


class Execution:
    """A run that this process holds.

    Args:
        row: the run, as it was claimed.
        workflow: its definition.
        known: its steps so far, by path.
        services: what it uses.
    """

    def __init__(
        self,
        row: RunRow,
        workflow: Workflow[..., Any],
        known: dict[str, StepRow],
        services: Services,
    ) -> None:
        self.row = row
        self.workflow = workflow
        self.known = known
        self.services = services
        self.stopping = False
        """No step begins any more."""
        self._body: asyncio.Task[Any] | None = None
        self._busy = 0
        """Steps that run."""
        self._branches = 0
        """The body and branches, less those that wait for branches of their own."""
        self._parked: dict[str, asyncio.Future[StepRow]] = {}
        """Waits by path; a branch stands still for each."""
        self._working: set[asyncio.Task[Any]] = set()
        """The tasks of asyncio that steps run in."""
        self._why: str | None = None
        """Why the body was cancelled: put down, cancelled, lost, blocked or stopped."""
        self._blocked_by: str | None = None
        self._over = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def program(self) -> str:
        """By which the gateway knows all calls of the run, and of those that it started."""
        return self.row.id.split(".", 1)[0]

    async def go(self) -> None:
        """Run until it ends or is put down, and write that."""
        loop = asyncio.get_running_loop()
        self._body = loop.create_task(self._run_body(), name=f"run {self.row.id}")
        await self._until_body_ends(self._body)
        await self._end_others()
        try:
            await self._write_end(self._body)
        except LostRun:
            logger.debug("run %s went on elsewhere", self.row.id)
        except Exception as error:
            logger.exception("how run %s ended cannot be written", self.row.id)
            why = f"how it ended cannot be written: {errors.sentence(errors.to_json(error))}"
            await self.services.journal.block(self.row.id, self.row.fence, why)

    async def _until_body_ends(self, body: asyncio.Task[Any]) -> None:
        """Wait for the body; give one up that swallows its cancellation: it can write nothing."""
        for _ in range(CANCELLATIONS):
            while not body.done():
                was_over = self._over
                await asyncio.wait([body], timeout=PATIENCE_S)
                if was_over and not self._busy:
                    break
            body.cancel()
        if not body.done():
            logger.error(
                "run %s catches its cancellation, and is left alone: catch Exception, not "
                "BaseException, in workflow %s",
                self.row.id,
                self.workflow.name,
            )

    async def _end_others(self) -> None:
        """End steps that run on although the body has ended: tasks of asyncio left alone."""
        self.stopping = True
        self._over = True
        while others := {task for task in self._working if not task.done()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others)

    async def stop(self, grace_s: float) -> None:
        """Begin no step, let those that run end for up to `grace_s`, and put the run down."""
        self.stopping = True
        if self._busy and grace_s > 0:
            self._idle.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._idle.wait()
        self.interrupt("stopped")

    def interrupt(self, why: str) -> None:
        """Cancel the body: it was `stopped`, `cancelled`, `lost`, `blocked` or `put down`."""
        if self._why is None:
            self._why = why
        self.stopping = True
        self._over = True
        if self._body is not None and not self._body.done():
            self._body.cancel()

    async def _run_body(self) -> Any:
        given = values.arguments(self.workflow.function, json.loads(self.row.input_json))
        with Scope(self, "", is_branch=True).entered(), self.branch():
            return await called(self.workflow.function, **given)

    async def _write_end(self, body: asyncio.Task[Any]) -> None:
        journal, row = self.services.journal, self.row
        if self._why == "blocked":
            logger.warning("run %s is blocked: %s", row.id, self._blocked_by)
            await journal.block(row.id, row.fence, self._blocked_by or "")
        elif self._why == "lost":
            raise LostRun(row.id)
        elif self._why == "put down":
            await journal.suspend(row.id, row.fence, list(self._parked))
        elif self._why == "stopped":
            await journal.give_back(row.id, row.fence)
        else:
            ended = self._ended(body)
            await journal.end(ended)
            self.services.costs.learn(ended, self.known.values())
            self.services.ended(ended, self.known.values())

    def _ended(self, body: asyncio.Task[Any]) -> RunRow:
        row = replace(self.row, ended_at=self.services.clock())
        error: BaseException | None
        if self._why == "cancelled":
            error, state = errors.Cancelled("it was cancelled"), RunState.CANCELLED
        elif body.cancelled():
            error, state = errors.Cancelled("something in it cancelled it"), RunState.FAILED
        else:
            error, state = body.exception(), RunState.FAILED
        if error is None:
            try:
                text = values.to_json(body.result(), f"the result of {self.workflow.name}")
                return replace(row, state=RunState.FINISHED, output_json=text)
            except errors.NotStorable as wrong:
                error = wrong
        return replace(row, state=state, error_json=errors.to_json(error))

    # What steps use.

    def task(
        self, task: Task[..., Any], path: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Run a task as the step at `path`."""
        return steps.perform(self, task, path, args, kwargs)

    def child(
        self, workflow: Workflow[..., Any], path: str, arguments: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Run a workflow of its own as the step at `path`."""
        return waits.child(self, workflow, path, arguments)

    def remembered(self, path: str, kind: str, fingerprint: str) -> StepRow | None:
        """The step at `path`, if it was there before.

        Raises:
            CancelledError: it was another step, so that the run cannot go on: it is blocked.
        """
        step = self.known.get(path)
        if step is None or (step.kind == kind and step.fingerprint == fingerprint):
            return step
        if "~" in path:  # a task, which runs again from its beginning, may do something else
            return None
        self._blocked_by = (
            f"step {path} was a {step.kind} called with other arguments before: the workflow "
            "changed, or reads a clock, chance or a file (use headway.now and headway.random); "
            f"`headway runs retry {self.row.id} --from {path}` runs it again from there"
        )
        self.interrupt("blocked")
        raise asyncio.CancelledError

    async def write(self, step: StepRow) -> None:
        """Keep a step as it is now; the run goes on once it is on the disk."""
        self.known[step.path] = step
        await self.written(self.services.journal.write(step, self.row.fence))

    async def written(self, writing: Awaitable[Written]) -> Written:
        """What the journal answers.

        Raises:
            CancelledError: it refuses, so that the run cannot go on here. The workflow does not
                see why: it is no failure of a step.
        """
        try:
            return await writing
        except LostRun:
            self.interrupt("lost")
        except Exception as error:
            logger.exception("a step of run %s cannot be written", self.row.id)
            self._blocked_by = (
                f"a step cannot be written: {errors.sentence(errors.to_json(error))}; "
                f"`headway runs retry {self.row.id}` goes on"
            )
            self.interrupt("blocked")
        raise asyncio.CancelledError

    def note(self, step: StepRow) -> None:
        """Keep a step as it is now, and go on: it is on the disk before what is written later."""
        self.known[step.path] = step
        self.services.journal.note(step, self.row.fence).add_done_callback(_look)

    @property
    def interrupted(self) -> bool:
        """Whether the body is cancelled, or has ended."""
        return self._over

    async def may_begin(self) -> None:
        """Return if a step may begin.

        A run that stops waits here for its other branches, until it is interrupted.

        Raises:
            CancelledError: no step begins any more.
        """
        if self.stopping and not self._over:
            await asyncio.get_running_loop().create_future()
        if self._over:
            await asyncio.sleep(0)  # a workflow that catches this may try for ever
            raise asyncio.CancelledError

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While a step runs: the run is not put down.

        Raises:
            CancelledError: no step begins any more.
        """
        task = asyncio.current_task()
        assert task is not None
        outer = task in self._working
        self._working.add(task)
        try:
            await self.may_begin()
            self._busy += 1
            try:
                yield
            finally:
                self._busy -= 1
                if self._busy == 0:
                    self._idle.set()
                    self._consider()
        finally:
            if not outer:
                self._working.discard(task)

    @contextmanager
    def branch(self) -> Iterator[None]:
        """While a branch runs."""
        self._branches += 1
        try:
            yield
        finally:
            self._branches -= 1
            self._consider()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """While a branch waits for branches of its own."""
        self._branches -= 1
        try:
            yield
        finally:
            self._branches += 1

    async def park(self, step: StepRow) -> StepRow:
        """Wait until the step, which the journal has, has ended: by an answer, or its time."""
        future: asyncio.Future[StepRow] = asyncio.get_running_loop().create_future()
        self._parked[step.path] = future
        self._consider()
        try:
            return await future
        finally:
            if self._why != "put down":  # what it waits for is written when it is put down
                del self._parked[step.path]

    def parked(self) -> list[str]:
        """The paths at which it waits."""
        return [path for path, future in self._parked.items() if not future.done()]

    def ended(self, step: StepRow) -> None:
        """A wait has ended."""
        self.known[step.path] = step
        waiting = self._parked.get(step.path)
        if waiting is not None and not waiting.done():
            waiting.set_result(step)

    def _stands_still(self) -> bool:
        standing = len(self.parked())
        if self._busy or not standing or standing < self._branches or self.stopping:
            return False
        now = self.services.clock()
        due = (self.known[path].due_at for path in self.parked())
        return all(at is None or at - now > KEEP_S for at in due)

    def _consider(self) -> None:
        """Put the run down in a moment if it only waits."""
        if self._stands_still():
            asyncio.get_running_loop().call_later(LINGER_S, self._put_down)

    def _put_down(self) -> None:
        if self._stands_still():
            self.interrupt("put down")


def _look(written: Future[None]) -> None:
    """What keeps a start from being written keeps the end from it, too, and is raised there."""
    if not written.cancelled():
        written.exception()
