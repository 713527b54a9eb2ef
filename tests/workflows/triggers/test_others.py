"""Files, the end of other runs, a short queue, a Redis stream: one run an event."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.redis_server import free_port, redis_server
from tests.workflows.conftest import Bench

import headway
from headway.workflows.catalog import Catalog
from headway.workflows.journal.rows import Definition, RunRow, RunState
from headway.workflows.starting import start
from headway.workflows.triggers import After, Backlog, Every, Files, RedisStream


async def test_a_file_starts_a_run_once_also_one_that_came_before(
    bench: Bench, tmp_path: Path
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()

    @headway.workflow(triggers=[Files(str(folder), "*.txt", settled_s=0.05)])
    async def arrived(path: str) -> str:
        return Path(path).read_text(encoding="utf-8")

    (folder / "before.txt").write_text("before")
    (folder / "other.wav").write_text("not asked for")
    async with bench.serving(arrived):
        await bench.until_runs(1)
        (folder / "after.txt").write_text("after")
        await bench.until_runs(2)
    async with bench.serving(arrived):  # another start finds nothing new
        (folder / "third.txt").write_text("third")
        rows = await bench.until_runs(3)
    assert {row.output_json for row in rows} == {'"before"', '"after"', '"third"'}


async def test_a_file_that_is_being_written_is_waited_for(bench: Bench, tmp_path: Path) -> None:
    @headway.workflow(triggers=[Files(str(tmp_path), "*.txt", settled_s=10.0)])
    async def arrived(path: str) -> str:
        return Path(path).read_text(encoding="utf-8")

    file = tmp_path / "slow.txt"
    file.write_text("half")
    now = [time.time()]
    async with bench.serving(arrived, clock=lambda: now[0]):
        await bench.until_mark(None)
        assert await bench.journal.runs() == []
        file.write_text("half and half")
        os.utime(file, (now[0], now[0] - 11.0))
        [row] = await bench.until_runs(1)
    assert row.output_json == '"half and half"'


async def test_whatever_a_file_is_called_it_starts_a_run_unless_it_is_hidden(
    bench: Bench, tmp_path: Path
) -> None:
    @headway.workflow(triggers=[Files(str(tmp_path / "inbox"), settled_s=0.0)])
    async def arrived(path: str) -> str:
        return Path(path).read_text(encoding="utf-8")

    folder = os.fsencode(tmp_path / "inbox")
    Path(os.fsdecode(folder)).mkdir()
    for name in (b"a\xff", "ü \N{GRINNING FACE}\n".encode(), b"z" * 250, b".copying.aX3f"):
        Path(os.fsdecode(folder + b"/" + name)).write_text(str(len(name)), encoding="utf-8")
    async with bench.serving(arrived):
        rows = await bench.until_runs(3)
    async with bench.serving(arrived):  # another start finds nothing new
        (tmp_path / "inbox" / "last").write_text("last")
        rows = await bench.until_runs(4)
    assert sorted(str(row.output_json) for row in rows) == ['"2"', '"250"', '"8"', '"last"']


async def test_a_trigger_that_is_added_before_others_makes_none_of_their_events_new(
    bench: Bench, tmp_path: Path
) -> None:
    async def arrived(path: str = "") -> str:
        return Path(path).name

    files = Files(str(tmp_path), "*.txt", settled_s=0.0)
    (tmp_path / "one.txt").write_text("1")
    async with bench.serving(headway.workflow(triggers=[files])(arrived)):
        await bench.until_runs(1)
    (tmp_path / "two.txt").write_text("2")
    hourly = Every(3600, catch_up="all")
    async with bench.serving(headway.workflow(triggers=[hourly, files])(arrived)):
        rows = await bench.until_runs(2)
    assert sorted(str(row.output_json) for row in rows) == ['"one.txt"', '"two.txt"']


async def test_a_folder_that_is_not_there_yet_is_waited_for(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.triggers.files.LOOK_EVERY_S", 0.02)

    @headway.workflow(triggers=[Files(str(tmp_path / "later"), settled_s=0.0)])
    async def arrived(path: str) -> str:
        return Path(path).name

    async with bench.serving(arrived):
        await bench.until_mark(None)
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "one").write_text("1")
        [row] = await bench.until_runs(1)
    assert row.output_json == '"one"'


async def test_an_event_whose_name_is_long_or_odd_starts_one_run(bench: Bench) -> None:
    @headway.workflow
    async def begun() -> None: ...

    names = ["x" * 100_000, "x" * 99_999, "nul \0", "half a pair \ud800"]
    for _ in range(2):
        for name in names:
            await start(bench.journal, Catalog(), begun, {}, key=name)
    assert len(await bench.journal.runs()) == len(names)


async def test_the_end_of_a_run_starts_the_next_one(bench: Bench) -> None:
    @headway.workflow
    async def first(number: int) -> int:
        if number < 0:
            raise ValueError("negative")
        return number

    @headway.workflow(triggers=[After("first")])
    async def second(run: str, output: int) -> Any:
        return [run, output + 1]

    async with bench.serving(first, second):
        await bench.until_mark("second.after first finished")
        ok, bad = await bench.start(first, number=4), await bench.start(first, number=-4)
        await bench.until(bad.id, "failed")
        rows = await bench.until_runs(3)
    [row] = [row for row in rows if row.workflow == "second"]
    assert json.loads(row.output_json or "") == [ok.id, 5]


async def test_a_short_queue_starts_a_run_and_then_rests(bench: Bench) -> None:
    waiting = [3]

    async def queue(request: web.Request) -> web.Response:
        return web.json_response({"waiting": waiting[0]})

    @headway.workflow(triggers=[Backlog(below=2, rest_s=1000.0, look_every_s=0.01)])
    async def idle(waiting: int) -> int:
        return waiting

    app = web.Application()
    asked = []
    app.on_response_prepare.append(lambda request, _: _note(asked, request))
    app.router.add_get("/v1/headway/queue", queue)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    bench.url = f"http://127.0.0.1:{port}"
    async with bench.serving(idle):
        while len(asked) < 3:
            await bench.a_moment()
        assert await bench.journal.runs() == []
        waiting[0] = 1
        [row] = await bench.until_runs(1)
        assert row.output_json == "1"
    await runner.cleanup()
    assert len(await bench.journal.runs()) == 1


async def _note(asked: list[Any], request: Any) -> None:
    asked.append(request)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as server:
        yield server.url


async def test_messages_of_a_redis_stream_start_runs_also_those_that_waited(
    bench: Bench, redis_url: str
) -> None:
    import redis.asyncio as client

    redis = client.from_url(redis_url)
    await redis.xadd("orders", {"number": "1"})

    @headway.workflow(triggers=[RedisStream(redis_url, "orders")])
    async def ordered(number: str) -> str:
        return number

    async with bench.serving(ordered):
        await bench.until_runs(1)
        await redis.xadd("orders", {"number": "2"})
        rows = await bench.until_runs(2)
        await redis.xadd("orders", {"number": b"\xff"})  # no text: it stops nothing
        await redis.xadd("orders", {"count": "3"})  # no input: it starts nothing
        await redis.xadd("orders", {"number": "4"})
        rows = await bench.until_runs(4)
    assert {row.output_json for row in rows} == {'"1"', '"2"', '"\\udcff"', '"4"'}
    assert (await redis.xpending("orders", "headway"))["pending"] == 0
    await redis.aclose()


async def test_an_end_that_was_written_late_starts_the_next_run_once(bench: Bench) -> None:
    @headway.workflow(triggers=[After("first")])
    async def second(run: str) -> str:
        return run

    now = time.time()
    async with bench.serving(second):
        await bench.until_mark("second.after first finished")
        for run, ended_at in (("b", now + 5.0), ("a", now + 3.0)):
            row = RunRow(run, "first", "h", "{}", state=RunState.FINISHED, ended_at=ended_at)
            await bench.journal.add(row, Definition("h", "first", "", ""))
            await bench.until_runs(2 if run == "b" else 4)
        await bench.until_mark(None)
    rows = await bench.journal.runs(workflow="second")
    assert sorted(str(row.output_json) for row in rows) == ['"a"', '"b"']


async def test_a_file_from_the_future_is_not_waited_for(bench: Bench, tmp_path: Path) -> None:
    @headway.workflow(triggers=[Files(str(tmp_path), "*.txt", settled_s=0.05)])
    async def arrived(path: str) -> str:
        return Path(path).name

    file = tmp_path / "early.txt"
    file.write_text("early")
    os.utime(file, (time.time() + 1e6, time.time() + 1e6))
    async with bench.serving(arrived):
        [row] = await bench.until_runs(1)
    assert row.output_json == '"early.txt"'


async def test_a_clock_that_was_set_back_stops_no_schedule(bench: Bench) -> None:
    @headway.workflow(triggers=[Every(1)])
    async def ticked(at: str) -> str:
        return at

    await bench.journal.set_mark("ticked.every 1", "2100-01-01T00:00:00+00:00")
    async with bench.serving(ticked):
        await bench.until_runs(1)
