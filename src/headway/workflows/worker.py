"""The worker: claims runs that may go on, runs them, and puts them down when they wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from headway.store.leases import LEASE_S, Renewal
from headway.store.owner import Owner
from headway.workflows.breakers import Breakers
from headway.workflows.catalog import Catalog
from headway.workflows.costs import Costs
from headway.workflows.errors import WorkflowError, sentence
from headway.workflows.execution import Execution, Services
from headway.workflows.grants import Grants
from headway.workflows.journal.errors import LostRun
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow, StepRow
from headway.workflows.llm import Gateway
from headway.workflows.resources import Capacity

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""Between two looks for what other processes wrote: runs, answers, cancellations."""
MOST_RUNS = 200
"""Runs in memory at a time."""
GRACE_S = 10.0
"""What running steps get to end when the worker stops."""


class Worker:
    """Runs the runs of a journal, several at a time. Any number of workers may share a journal.

    Args:
        journal: what has happened.
        catalog: the workflows that it knows; it claims only their runs.
        gateway: who answers calls of models.
        capacity: what its tasks may occupy together.
        most_runs: runs in memory at a time.
        only: the run that it works on, with those that it started; None: all.
        export: is passed each run that ended here, with its steps.
    """

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        gateway: Gateway,
        *,
        capacity: Capacity | None = None,
        most_runs: int = MOST_RUNS,
        only: str | None = None,
        export: Callable[[RunRow, list[StepRow]], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.catalog = catalog
        self._journal = journal
        self._owner = Owner.this()
        self._most_runs = most_runs
        self._only = only
        self._export = export
        self._services = Services(
            journal,
            gateway,
            Grants(capacity or Capacity()),
            Breakers(time.monotonic),
            Costs(),
            catalog,
            self.wake,
            self._on_end,
            clock,
        )
        self._running: dict[str, tuple[Execution, asyncio.Task[None]]] = {}
        self._look = asyncio.Event()
        self._renewal = Renewal(lambda: journal.renew(self._owner, LEASE_S))

    def wake(self) -> None:
        """Look for runs now: something changed."""
        self._look.set()

    async def run(self) -> None:
        """Work until cancelled; then let running steps end, and put every run down."""
        self._renewal.start()
        try:
            while True:
                self._look.clear()
                await self._claim()
                await self._notice()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._look.wait()
        finally:
            await self._stop()

    def runs_in_memory(self) -> list[str]:
        """The runs that it holds now."""
        return list(self._running)

    async def _claim(self) -> None:
        room = self._most_runs - len(self._running)
        if room <= 0:
            return
        names = [workflow.name for workflow in self.catalog]
        claimed = await self._journal.claim(
            self._owner, names, room, LEASE_S, holding=list(self._running), only=self._only
        )
        await asyncio.gather(*(self._begin(row) for row in claimed))

    async def _begin(self, row: RunRow) -> None:
        try:
            workflow = await self.catalog.of(row, self._journal)
            known = await self._journal.steps(row.id)
        except Exception as error:
            why = str(error) if isinstance(error, WorkflowError) else repr(error)
            logger.warning("run %s is blocked: %s", row.id, why)
            with suppress(LostRun):
                await self._journal.block(row.id, row.fence, why)
            return
        execution = Execution(row, workflow, known, self._services)
        task = asyncio.create_task(execution.go(), name=f"go {row.id}")
        self._running[row.id] = (execution, task)
        task.add_done_callback(lambda done: self._put_down(row.id, done))

    def _put_down(self, run: str, task: asyncio.Task[None]) -> None:
        del self._running[run]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("run %s was put down: %s", run, error, exc_info=error)
        self.wake()

    async def _notice(self) -> None:
        """Pass on what others wrote about the runs that are in memory."""
        if not self._running:
            return
        for run in await self._journal.cancelled_among(list(self._running)):
            if run in self._running:
                self._running[run][0].interrupt("cancelled")
        for run, (execution, _) in list(self._running.items()):
            if paths := execution.parked():
                for step in await self._journal.ended_among(run, paths):
                    execution.ended(step)

    def _on_end(self, row: RunRow, steps: Iterable[StepRow]) -> None:
        if row.error_json is None:
            logger.info("run %s of %s: %s", row.id, row.workflow, row.state)
        else:
            why = sentence(row.error_json)
            logger.warning("run %s of %s: %s: %s", row.id, row.workflow, row.state, why)
        if self._export is not None:
            self._export(row, list(steps))
        self.wake()

    async def _stop(self) -> None:
        executions = [execution for execution, _ in self._running.values()]
        tasks: list[asyncio.Task[Any]] = [task for _, task in self._running.values()]
        try:
            await asyncio.gather(*(execution.stop(GRACE_S) for execution in executions))
        except asyncio.CancelledError:  # somebody asks again: now
            for execution in executions:
                execution.interrupt("stopped")
        if tasks:
            await asyncio.wait(tasks)
        self._renewal.stop()
        await self._journal.release(self._owner)  # what it claimed and had not begun
