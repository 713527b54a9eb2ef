"""A database that is full, locked, away, newer or long: no run fails of it."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from tests.workflows.conftest import Bench
from tests.workflows.nested import (
    begin_anew,
    calls,
    double,
    failing,
    inner,
    outer,
)

import headway
from headway.store.postgres import PostgresConnection
from headway.store.sqlite import SqliteConnection
from headway.store.transactions import Connection
from headway.store.versions import NewerDatabase
from headway.workflows.catalog import Catalog
from headway.workflows.journal.errors import Pruned
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.schema import prepare
from headway.workflows.retention import prune
from headway.workflows.starting import start


@pytest.fixture(autouse=True)
def fresh() -> None:
    begin_anew()


async def test_a_full_disk_pauses_runs_and_fails_none(tmp_path: Path) -> None:
    connections: list[SqliteConnection] = []

    def connect() -> SqliteConnection:
        connections.append(SqliteConnection(tmp_path / "workflows.db", prepare))
        return connections[-1]

    @headway.task
    async def large() -> str:
        calls.append("large")
        return "x" * 2_000_000

    @headway.workflow
    async def work() -> int:
        return len(await large())

    bench = Bench(Journal(connect))
    bench.journal._transactions._retry_s = 0.05
    [connection] = connections
    row = await bench.start(work)
    connection._database.execute("PRAGMA max_page_count = 60")
    async with bench.working(work):
        while not calls:
            await bench.a_moment()
        await asyncio.sleep(0.2)
        connection._database.execute("PRAGMA max_page_count = 1000000")
        row = await bench.until(row.id, "finished", "failed", "blocked")
    assert (row.output_json, calls) == ("2000000", ["large"])
    bench.journal.close()


async def test_a_locked_database_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.store.sqlite.BUSY_S", 0.01)
    bench = Bench(Journal(lambda: SqliteConnection(tmp_path / "workflows.db", prepare)))
    bench.journal._transactions._retry_s = 0.05
    failing[0] = False
    async with bench.working(inner):
        row = await bench.start(inner)
        other = sqlite3.connect(tmp_path / "workflows.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(0.2)
        other.execute("COMMIT")
        row = await bench.until(row.id, "finished", "failed")
    assert row.output_json == '[2, "well"]'
    assert calls == [1, "sometimes"]
    bench.journal.close()


async def test_a_server_that_drops_its_connections_costs_no_step(postgres: str) -> None:
    bench = Bench(Journal(lambda: PostgresConnection(postgres, prepare)))
    bench.journal._transactions._retry_s = 0.02

    @headway.workflow
    async def work() -> int:
        return sum([await double(number) for number in range(40)])

    killer = PostgresConnection(postgres, prepare)
    async with bench.working(work):
        row = await bench.start(work)
        for _ in range(8):
            killer.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'headway' AND pid <> pg_backend_pid()"
            )
            killer.commit()
            await asyncio.sleep(0.02)
        row = await bench.until(row.id, "finished", "failed", "blocked")
    assert row.output_json == str(2 * sum(range(40)))
    assert calls == list(range(40))
    killer.close()
    bench.journal.close()


async def test_a_journal_of_a_newer_headway_is_refused(journal: Journal, tmp_path: Path) -> None:
    def set_version(version: int, connection: Connection) -> None:
        connection.query("UPDATE versions SET version = ? WHERE journal = 'runs'", (version,))

    await journal._transactions.run(partial(set_version, 3))
    with pytest.raises(NewerDatabase, match="have version 3, and this Headway knows version 2"):
        journal._transactions._connect()
    await journal._transactions.run(partial(set_version, 2))


async def test_old_runs_are_deleted_and_their_events_stay_known(bench: Bench) -> None:
    failing[0] = False
    async with bench.working(outer, inner):
        rows = [
            await start(bench.journal, Catalog([outer]), outer, {}, key=key) for key in (None, "e")
        ]
        for row in rows:
            await bench.until(row.id, "finished")
        waiting = await start(bench.journal, Catalog(), double_asks, {})
    assert await prune(bench.journal, 0.0) == 0
    assert await prune(bench.journal, 1e12) == 4
    assert await prune(bench.journal, 1e12) == 0
    left = {row.id: row for row in await bench.journal.runs()}
    assert set(left) == {rows[1].id, waiting.id}
    assert left[rows[1].id].pruned and await bench.journal.steps(rows[1].id) == {}
    again = await start(bench.journal, Catalog(), outer, {}, key="e")
    assert again.id == rows[1].id
    with pytest.raises(Pruned, match="start a new run"):
        await bench.journal.again(again.id, None, None)


@headway.workflow
async def double_asks() -> None:
    await headway.ask("Well?")
