"""What goes wrong around a run: nothing is lost, nothing runs twice, and nothing hangs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.workflows.conftest import Bench

import headway
from headway.store.owner import Owner
from headway.store.postgres import PostgresConnection
from headway.store.sqlite import SqliteConnection
from headway.store.transactions import Connection
from headway.store.versions import NewerDatabase
from headway.workflows.catalog import Catalog, load
from headway.workflows.journal import progress, tables
from headway.workflows.journal.errors import KeyTaken, Pruned
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow, StepState
from headway.workflows.journal.schema import prepare
from headway.workflows.question import Question
from headway.workflows.retention import prune
from headway.workflows.starting import start
from headway.workflows.values import fingerprint

calls: list[Any] = []
gates: dict[str, asyncio.Event] = {}
failing = [True]
DEFINITION = Definition("hash", "w", "", "")


@pytest.fixture(autouse=True)
def fresh() -> None:
    calls.clear()
    gates.clear()
    failing[0] = True


@headway.task
async def double(number: int) -> int:
    calls.append(number)
    return 2 * number


@headway.task
async def held(number: int) -> int:
    calls.append(number)
    await gates["held"].wait()
    return number


@headway.task
async def sometimes() -> str:
    calls.append("sometimes")
    if failing[0]:
        raise TypeError("not today")
    return "well"


@headway.workflow
async def inner(number: int = 1) -> list[Any]:
    return [await double(number), await sometimes()]


@headway.workflow
async def outer() -> list[Any]:
    first = await double(10)
    return [first, *await inner(), await double(20)]


def message(row: RunRow) -> str:
    return str(json.loads(row.error_json or "{}").get("message"))


# Steps and branches


async def test_a_worker_that_stops_lets_the_steps_of_all_branches_end(bench: Bench) -> None:
    gates["held"] = asyncio.Event()
    go_on = asyncio.Event()

    @headway.workflow
    async def work() -> list[Any]:
        async def another() -> int:
            await go_on.wait()
            return await double(1)

        return await headway.gather(held(7), another())

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, steps=lambda steps: "held" in steps)
        asyncio.get_running_loop().call_later(0.05, go_on.set)  # while the worker stops
        asyncio.get_running_loop().call_later(0.2, gates["held"].set)
    assert (await bench.journal.run(row.id)).state is RunState.READY
    async with bench.working(work):
        row = await bench.until(row.id, "finished", "failed")
    assert row.output_json == "[7, 2]"
    assert calls == [7, 1]  # the one that ran was let to end


async def test_branches_that_a_failure_cancelled_do_not_run_again(bench: Bench) -> None:
    gates["held"] = asyncio.Event()

    @headway.workflow
    async def work() -> str:
        try:
            await headway.gather(held(7), sometimes())
        except TypeError as error:
            await headway.receive("go")
            return f"caught {error}"
        return "?"

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "go", "1", "test", kind="event")
        row = await bench.until(row.id, "finished")
    assert row.output_json == '"caught not today"'
    assert calls == [7, "sometimes"]


async def test_steps_left_alone_end_with_their_run(bench: Bench) -> None:
    gates["held"] = asyncio.Event()
    ended = []

    @headway.task
    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    @headway.workflow
    async def work() -> int:
        alone = asyncio.create_task(endless())
        result = await double(1)
        assert not alone.done()
        return result

    row = await bench.result(work)
    assert (row.state, ended) == (RunState.FINISHED, ["endless"])


async def test_waits_in_tasks_of_their_own_are_refused(bench: Bench) -> None:
    @headway.workflow
    async def work() -> None:
        await asyncio.gather(inner(1), inner(2))

    row = await bench.result(work)
    assert "use headway.gather" in message(row)


async def test_a_thread_that_cannot_be_stopped_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.worker.GRACE_S", 0.0)
    go_on, running = threading.Event(), []

    @headway.task
    def plain() -> int:
        running.append("began")
        go_on.wait(10)
        running.append("ended")
        return 3

    @headway.workflow
    async def work() -> int:
        return await plain()

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, steps=lambda steps: "plain" in steps)
        threading.Timer(0.3, go_on.set).start()
    assert running == ["began", "ended"]  # before another worker could begin it
    assert (await bench.journal.run(row.id)).state is RunState.READY


async def test_a_step_that_calls_exit_fails_and_the_worker_lives(bench: Bench) -> None:
    @headway.task
    async def leaves() -> None:
        raise SystemExit(3)

    @headway.workflow
    async def work() -> None:
        await leaves()

    @headway.workflow
    async def leaving() -> None:
        raise SystemExit(4)

    async with bench.working(work, leaving, inner):
        first, second = await bench.start(work), await bench.start(leaving)
        assert "ended the program, with status 3" in message(await bench.until(first.id, "failed"))
        assert "ended the program, with status 4" in message(await bench.until(second.id, "failed"))


async def test_a_workflow_that_catches_its_cancellation_is_put_down_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.execution.PATIENCE_S", 0.02)
    go_on = [True]

    @headway.workflow
    async def work() -> str:
        while go_on[0]:
            try:
                return str(await headway.ask("Well?"))
            except BaseException as error:
                calls.append(error)
        return "?"

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "ask", Question("").accept(), "ada")
        row = await bench.until(row.id, "finished")
        go_on[0] = False
    assert row.output_json == '"True"'


async def test_a_task_that_runs_again_may_do_something_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.worker.GRACE_S", 0.0)
    gates["held"] = asyncio.Event()

    @headway.task
    async def reads() -> int:
        calls.append("reads")
        read = await double(calls.count("reads"))  # as from a file that changes
        await held(0)
        return read

    @headway.workflow
    async def work() -> int:
        return await reads()

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, steps=lambda steps: "reads~1/held" in steps)
    gates["held"].set()
    async with bench.working(work):
        row = await bench.until(row.id, "finished", "blocked")
    assert row.output_json == "4"


async def test_the_answer_to_another_question_is_not_taken(bench: Bench) -> None:
    texts = iter(["Delete the old file?", "Delete the database?"])

    @headway.workflow
    async def work() -> bool:
        return bool(await headway.ask(next(texts)))

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "ask", Question("").accept(), "ada")
        row = await bench.until(row.id, "finished", "blocked")
    assert row.state is RunState.BLOCKED
    assert "step ask was a person called with other arguments" in (row.why or "")


def test_calls_have_the_same_fingerprint_in_each_process_and_others_another_one() -> None:
    words = ["b", "a", "d", "c", "e"]
    assert fingerprint("f", (set(words),), {}) == fingerprint("f", (sorted(words),), {})
    assert fingerprint("f", (Path("a"), 1), {}) != fingerprint("f", (Path("b"), 1), {})
    assert fingerprint("f", (object(), 1), {}) != fingerprint("f", (object(), 2), {})
    assert fingerprint("f", (object(),), {}) == fingerprint("f", (object(),), {})


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e12])
async def test_a_time_that_never_comes_is_refused(bench: Bench, seconds: float) -> None:
    @headway.workflow
    async def work(kind: str) -> None:
        if kind == "sleep":
            await headway.sleep(seconds)
        await headway.ask("Well?", timeout_s=seconds)

    async with bench.working(work):
        for kind in ("sleep", "ask"):
            row = await bench.until((await bench.start(work, kind=kind)).id, "failed")
            assert "it is from 0 to 100 years" in message(row)


async def test_tasks_that_could_wait_for_each_other_for_ever_are_refused(bench: Bench) -> None:
    @headway.task(resources={"cpu": 1})
    async def nested() -> int:
        return 1

    @headway.task(resources={"exclusive": "camera"})
    async def holder() -> int:
        return await nested()

    @headway.workflow
    async def work() -> list[int]:
        return await headway.gather(holder(), holder())

    assert "within a task that holds some" in message(await bench.result(work))


def test_inputs_without_names_are_refused_when_the_workflow_is_defined() -> None:
    with pytest.raises(TypeError, match=r"takes \*numbers: inputs of a workflow have names"):

        @headway.workflow
        async def work(*numbers: int) -> None: ...


# Runs that other runs started


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


OWNER = Owner("elsewhere", 1, "1", "1")


# Who works on what


async def test_a_claim_whose_answer_was_lost_is_made_again(bench: Bench) -> None:
    async with bench.working(outer) as worker:
        worker._journal = journal = bench.journal
        row = await bench.start(inner)
        await journal.claim(worker._owner, ["inner"], 1, 30)  # as if the answer did not come
        await asyncio.sleep(0)
        await bench.until(row.id, "ready")


async def test_upper_tiers_are_claimed_before_lower_ones_and_deadlines_in_order(
    journal: Journal,
) -> None:
    for number, (tier, deadline_at) in enumerate(
        [("batch", 1.0), (None, None), (None, 9.0), ("standard", 8.0), ("interactive", None)]
    ):
        row = RunRow(
            f"run{number}", "w", "hash", "{}", tier=tier, deadline_at=deadline_at, created_at=0.0
        )
        await journal.add(row, DEFINITION)
    order = []
    while claimed := await journal.claim(OWNER, ["w"], 1, 30, [f"run{one}" for one in range(5)]):
        order += [row.id for row in claimed]
    assert order == ["run4", "run3", "run2", "run1", "run0"]


def test_a_claim_sorts_nothing(tmp_path: Path) -> None:
    SqliteConnection(tmp_path / "workflows.db", prepare).close()
    database = sqlite3.connect(tmp_path / "workflows.db")
    from headway.workflows.journal.schema import ORDER

    for column in ("workflow", "root_workflow"):
        plan = database.execute(
            f"EXPLAIN QUERY PLAN SELECT id FROM runs WHERE state = 'ready' AND {column} = 'w' "
            f"ORDER BY {ORDER} LIMIT 9"
        ).fetchall()
        assert "USING INDEX" in str(plan) and "TEMP B-TREE" not in str(plan)


async def test_a_key_belongs_to_one_workflow(bench: Bench) -> None:
    first = await start(bench.journal, Catalog(), inner, {}, key="event")
    assert (await start(bench.journal, Catalog(), inner, {}, key="event")).id == first.id
    with pytest.raises(KeyTaken, match="the key event started run"):
        await start(bench.journal, Catalog(), outer, {}, key="event")


# The database


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
