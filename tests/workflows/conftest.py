"""Journals in SQLite and PostgreSQL, and workers on them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headway.store.postgres import PostgresConnection
from headway.store.sqlite import SqliteConnection
from headway.workflows.catalog import Catalog
from headway.workflows.definition import Workflow
from headway.workflows.http.server import HttpServer
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow, StepRow
from headway.workflows.journal.schema import prepare
from headway.workflows.llm import Gateway
from headway.workflows.starting import start
from headway.workflows.triggers.runner import Triggers
from headway.workflows.worker import Worker


@pytest.fixture(params=["sqlite", "postgres"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    if request.param == "sqlite":
        opened = Journal(lambda: SqliteConnection(tmp_path / "workflows.db", prepare))
    else:
        address = request.getfixturevalue("postgres")
        _empty(address)
        opened = Journal(lambda: PostgresConnection(address, prepare))
    yield opened
    opened.close()


def _empty(address: str) -> None:
    connection = PostgresConnection(address, prepare)
    for table in ("runs", "steps", "definitions", "marks", "deaths"):
        connection.query(f"TRUNCATE {table}")
    connection.commit()
    connection.close()


@dataclass(frozen=True)
class Served:
    """A worker's HTTP server."""

    address: str


class Bench:
    """A journal with a worker, which tests may stop and start again."""

    def __init__(self, journal: Journal, url: str = "http://127.0.0.1:1") -> None:
        self.journal = journal
        self.url = url

    @asynccontextmanager
    async def working(self, *workflows: Workflow[..., Any], **options: Any) -> AsyncIterator[Any]:
        """While a worker runs; yields it."""
        gateway = Gateway(self.url)
        worker = Worker(self.journal, Catalog(workflows), gateway, **options)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            running.cancel()
            await asyncio.wait([running])
            await gateway.close()

    @asynccontextmanager
    async def beside(self, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """While `work` goes on."""
        task = asyncio.create_task(work)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    @asynccontextmanager
    async def serving(
        self,
        *workflows: Workflow[..., Any],
        clock: Callable[[], float] = time.time,
        key: str | None = None,
        host: str = "127.0.0.1",
    ) -> AsyncIterator[Served]:
        """While a worker runs with its triggers and its HTTP server."""
        catalog, gateway = Catalog(workflows), Gateway(self.url)
        async with self.working(*workflows, clock=clock) as worker:
            triggers = Triggers(self.journal, catalog, gateway, worker.wake, clock)
            server = HttpServer(self.journal, catalog, triggers, worker.wake, clock, key)
            address = await server.listen(host, 0)
            async with self.beside(triggers.run()):
                yield Served(address)
            await server.close()
            await gateway.close()

    async def a_moment(self) -> None:
        """Between two looks at something."""
        await asyncio.sleep(0.01)

    async def until_mark(self, name: str | None) -> None:
        """Once the trigger has written how far it is; None: after a quarter of a second."""
        if name is None:
            await asyncio.sleep(0.25)
            return
        while await self.journal.mark(name) is None:
            await self.a_moment()

    async def until_runs(self, count: int) -> list[RunRow]:
        """All runs, once there are so many and all have ended."""

        async def look() -> list[RunRow]:
            while True:
                rows = await self.journal.runs()
                if len(rows) >= count and all(row.state.ended for row in rows):
                    return rows
                await self.a_moment()

        return await asyncio.wait_for(look(), 30)

    async def start(self, workflow: Workflow[..., Any], **given: Any) -> RunRow:
        """Start a run."""
        return await start(self.journal, Catalog([workflow]), workflow, given)

    async def until(
        self, run: str, *states: str, steps: Callable[[dict[str, StepRow]], bool] | None = None
    ) -> RunRow:
        """The run once it is in one of the states, and its steps are as they should be."""

        async def look() -> RunRow:
            while True:
                row = await self.journal.run(run)
                if (not states or row.state in states) and (
                    steps is None or steps(await self.journal.steps(run))
                ):
                    return row
                await asyncio.sleep(0.01)  # between two looks at a database

        return await asyncio.wait_for(look(), 30)

    async def result(self, workflow: Workflow[..., Any], **given: Any) -> RunRow:
        """How a run of the workflow ends."""
        async with self.working(workflow):
            row = await self.start(workflow, **given)
            return await self.until(row.id, "finished", "failed", "cancelled", "blocked")


@pytest.fixture
def bench(journal: Journal) -> Bench:
    """A journal, with workers to come."""
    return Bench(journal)
