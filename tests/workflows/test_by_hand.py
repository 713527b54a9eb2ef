"""Runs as a person deals with them: starts one, stops it, names it, asks for it again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from tests.redis_server import free_port
from tests.workflows.conftest import Bench

import headway
from headway.store.owner import Owner
from headway.workflows.catalog import Catalog, load
from headway.workflows.errors import WorkflowError
from headway.workflows.journal.errors import NoSuchRun, NotEnded
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import Definition, RunRow, RunState
from headway.workflows.llm import Gateway
from headway.workflows.question import Question
from headway.workflows.triggers.signatures import verified
from headway.workflows.worker import GRACE_S, Worker

calls: list[str] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    calls.clear()


@headway.task
async def noted(text: str) -> str:
    calls.append(text)
    return text


@headway.workflow
async def inner(text: str) -> str:
    return await noted(text)


@headway.workflow
async def outer(text: str) -> str:
    return await inner(text)


async def test_who_works_on_one_run_leaves_the_others_alone(bench: Bench) -> None:
    left = await bench.start(outer, text="left")
    wanted = await bench.start(outer, text="wanted")
    async with bench.working(outer, only=wanted.id):
        row = await bench.until(wanted.id, "finished")
    assert (row.output_json, calls) == ('"wanted"', ["wanted"])
    assert (await bench.journal.run(left.id)).state is RunState.READY


async def test_a_run_whose_process_died_is_cancelled_at_once(journal: Journal) -> None:
    died = replace(Owner.this(), began="long ago")
    await journal.add(RunRow("run", "w", "hash", "{}"), Definition("hash", "w", "", ""))
    await journal.claim(died, ["w"], 1, 30)
    with pytest.raises(NotEnded, match="`headway runs resume FILE run` goes on with it"):
        await journal.again("run", None, None)
    assert (await journal.cancel("run")).state is RunState.CANCELLED
    assert (await journal.again("run", None, None)).state is RunState.READY
    await journal.claim(Owner.this(), ["w"], 1, 30)
    assert (await journal.cancel("run")).state is RunState.RUNNING  # its worker ends it


async def test_the_beginning_of_an_id_names_one_run_or_none(journal: Journal) -> None:
    for id_ in ("ab-1", "ab-1.x", "ab-1.x.y", "ab-2", "ac"):
        await journal.add(RunRow(id_, "w", "hash", "{}"), Definition("hash", "w", "", ""))
    for begin, found in (("ab-1", "ab-1"), ("ab-1.", "ab-1.x"), ("ac", "ac"), ("ab-2", "ab-2")):
        assert (await journal.run(begin)).id == found
    for begin in ("ab", "a", "ab-"):
        with pytest.raises(NoSuchRun, match="several runs begin with"):
            await journal.run(begin)


async def test_who_asks_twice_to_stop_waits_for_no_step(bench: Bench) -> None:
    began, ended = asyncio.Event(), []

    @headway.task
    async def endless() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("put down")

    @headway.workflow
    async def work() -> None:
        await endless()

    row = await bench.start(work)
    worker = Worker(bench.journal, Catalog([work]), Gateway(bench.url))
    running = asyncio.create_task(worker.run())
    await began.wait()
    for _ in range(2):
        running.cancel()
        await bench.a_moment()
    await asyncio.wait_for(asyncio.wait([running]), GRACE_S / 2)
    assert ended == ["put down"]
    assert (await bench.journal.run(row.id)).state is RunState.READY


async def test_who_is_asked_again_gets_another_notice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_WEBHOOK_SECRET", "secret")
    got: list[str] = []

    async def notice(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got.append(verified("secret", headers, time.time(), await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", notice)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()

    @headway.workflow
    async def work() -> bool:
        return bool(await headway.ask("Well?", notify=f"http://127.0.0.1:{port}/"))

    async with bench.working(work):
        row = await bench.start(work)
        await bench.until(row.id, "waiting")
        await bench.journal.answer(row.id, "ask", Question("").reject("no"), "ada")
        await bench.until(row.id, "failed")
        await bench.journal.again(row.id, "ask", None)
        await bench.until(row.id, "waiting")
    await runner.cleanup()
    assert got == [f"{row.id}/ask", f"{row.id}/ask 1"]


async def test_a_task_that_runs_a_workflow_is_refused(bench: Bench) -> None:
    @headway.task
    async def within() -> str:
        return await inner("child")

    @headway.workflow
    async def work() -> str:
        return await within()

    async with bench.working(work, inner, most_runs=1):  # it would wait for its own place
        row = await bench.start(work)
        row = await bench.until(row.id, "failed")
    assert "inner belongs into the body of a workflow" in (row.error_json or "")


def test_a_file_that_ends_the_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(WorkflowError, match="ends the program as it is loaded, with status 3"):
        load(tmp_path / "file.py")


def test_a_file_is_compiled_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text(
        "import headway\ndef f(x: int) -> None: ...\nassert f.__annotations__['x'] is int\n"
        "@headway.workflow\nasync def work() -> None: ...\n"
    )
    assert [one.name for one in load(tmp_path / "file.py")] == ["work"]
