"""Journals in SQLite and PostgreSQL, and workers on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.workflows import postgres_server

from headway.workflows.catalog import Catalog
from headway.workflows.definition import Workflow
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.postgres import PostgresConnection
from headway.workflows.journal.rows import RunRow, StepRow
from headway.workflows.journal.sqlite import SqliteConnection
from headway.workflows.llm import Gateway
from headway.workflows.starting import start
from headway.workflows.worker import Worker


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real server; skips where none is installed."""
    if postgres_server.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres_server.temporary() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    if request.param == "sqlite":
        opened = Journal(lambda: SqliteConnection(tmp_path / "workflows.db"))
    else:
        address = request.getfixturevalue("postgres")
        _empty(address)
        opened = Journal(lambda: PostgresConnection(address))
    yield opened
    opened.close()


def _empty(address: str) -> None:
    connection = PostgresConnection(address)
    for table in ("runs", "steps", "definitions"):
        connection.query(f"TRUNCATE {table}")
    connection.commit()
    connection.close()


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
