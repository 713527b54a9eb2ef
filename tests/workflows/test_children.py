"""Runs that other runs started: they end, fail and begin anew with their parent."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.workflows.conftest import Bench
from tests.workflows.nested import (
    DEFINITION,
    OWNER,
    begin_anew,
    calls,
    failing,
    gates,
    held,
    inner,
    message,
    outer,
    sometimes,
)

import headway
from headway.store.postgres import PostgresConnection
from headway.workflows.catalog import load
from headway.workflows.journal import progress, tables
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow, RunState, StepRow, StepState
from headway.workflows.journal.schema import prepare


@pytest.fixture(autouse=True)
def fresh() -> None:
    begin_anew()


async def test_a_failed_child_runs_again_with_its_parent_and_keeps_what_had_finished(
    bench: Bench,
) -> None:
    async with bench.working(outer, inner):
        row = await bench.start(outer)
        assert message(await bench.until(row.id, "failed")) == "not today"
        failing[0] = False
        await bench.journal.again(row.id, None, None)
        row = await bench.until(row.id, "finished", "failed")
    assert json.loads(row.output_json or "") == [20, 2, "well", 40]
    assert calls == [10, 1, "sometimes", "sometimes", 20]


async def test_from_a_child_on_the_child_begins_anew(bench: Bench) -> None:
    failing[0] = False
    async with bench.working(outer, inner):
        row = await bench.start(outer)
        await bench.until(row.id, "finished")
        calls.clear()
        await bench.journal.again(row.id, "inner", None)
        row = await bench.until(row.id, "finished", "failed")
    assert json.loads(row.output_json or "") == [20, 2, "well", 40]
    assert calls == [1, "sometimes", 20]


async def test_a_child_runs_that_the_worker_knows_only_through_its_parent(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "hidden.py").write_text(
        "import headway\n\n@headway.workflow\nasync def hidden() -> int:\n    return 5\n"
    )
    (tmp_path / "seen.yaml").write_text("tasks: {only: {workflow: 'hidden.py'}}\n")
    seen = load(tmp_path / "seen.yaml")
    async with bench.working(*seen):
        row = await bench.start(seen[0])
        row = await bench.until(row.id, "finished", "failed")
    assert row.output_json == "5"


async def test_nothing_works_on_for_a_run_that_has_ended(bench: Bench) -> None:
    gates["held"] = asyncio.Event()

    @headway.workflow
    async def slow() -> int:
        return await held(1)

    @headway.workflow
    async def work() -> None:
        async def fails() -> None:
            await headway.sleep(0.2)
            await sometimes()

        await headway.gather(slow(), fails())

    async with bench.working(work, slow):
        row = await bench.start(work)
        await bench.until(row.id, "failed")
        [child] = [one for one in await bench.journal.runs() if one.parent_run == row.id]
        assert (await bench.until(child.id, "cancelled")).state is RunState.CANCELLED


def _waiting_parent(connection: Any, owner: str) -> RunRow:
    """A parent and its child, both held by workers; returns the child."""
    parent = RunRow("p", "w", "hash", "{}", state=RunState.RUNNING, fence=1, owner=owner)
    child = replace(parent, id="p.c", parent_run="p", parent_path="c")
    step = StepRow("p", "c", "run", StepState.WAITING)
    for row in (parent, child):
        tables.add(row, DEFINITION, connection)
    tables.put(step, connection)
    connection.commit()
    return child


def test_a_child_that_ends_while_its_parent_is_put_down_wakes_it(
    journal: Journal, request: pytest.FixtureRequest
) -> None:
    if "postgres" not in request.node.callspec.id:
        pytest.skip("SQLite has one transaction at a time")
    address = request.getfixturevalue("postgres")
    one, other, third = (PostgresConnection(address, prepare) for _ in range(3))
    child = _waiting_parent(one, "elsewhere/1/1/1")
    progress.end(replace(child, state=RunState.FINISHED, output_json="1", ended_at=1.0), one)
    states: list[RunState] = []

    def suspend() -> None:
        states.append(progress.suspend(0.0, "p", 1, ["c"], other))
        other.commit()

    thread = threading.Thread(target=suspend)
    thread.start()
    locked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while thread.is_alive() and not third.query(locked)[0][0]:
        third.commit()
    one.commit()
    thread.join(10)
    assert states == [RunState.READY]
    assert tables.find("p", third).state is RunState.READY
    for connection in (one, other, third):
        connection.close()


async def test_a_run_that_is_cancelled_as_it_is_put_down_ends(journal: Journal) -> None:
    run = RunRow("run", "w", "hash", "{}")
    await journal.add(run, DEFINITION)
    for put_down in (
        lambda row: journal.suspend(row.id, row.fence, ["ask"]),
        lambda row: journal.give_back(row.id, row.fence),
        lambda row: journal.block(row.id, row.fence, "why"),
        lambda row: journal.release(OWNER),
    ):
        [row] = await journal.claim(OWNER, ["w"], 1, 30)
        await journal.wait(StepRow(row.id, "ask", "person", StepState.WAITING), row.fence)
        assert (await journal.cancel(row.id)).state is RunState.RUNNING
        await put_down(row)
        assert (await journal.run(row.id)).state is RunState.CANCELLED
        await journal.again(row.id, None, None)
