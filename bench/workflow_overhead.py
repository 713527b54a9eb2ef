"""What the journal adds to the text-to-SQL example, against the same code without a journal.

    python bench/workflow_overhead.py [--turns 30] [--engine-turns 12]

The example runs as a workflow on a journal in SQLite, and as what it is without one: asyncio code
that calls the same gateway. By turns in one process, each going first every other time, on
`headway serve` in front of a backend with the delays of an engine (150 ms, then 20 ms a token; one
candidate of three is repaired), and on the embedded engine. The medians are compared. The journal
adds eight commits, one after the other; what a commit takes on this disk is shown beside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from aiohttp import web

from claims import Claim, publish
from headway.workflows.catalog import Catalog, load
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow
from headway.workflows.llm import Gateway
from headway.workflows.starting import start
from headway.workflows.worker import Worker
from processes import Server, gateway

EXAMPLE = Path(__file__).parents[1] / "examples/workflows/text_to_sql.py"
QUESTION = "Which songs are by Miles Davis?"
PREFILL_S, TOKEN_S = 0.15, 0.02
SLOTS = 4


async def answer(request: web.Request) -> web.Response:
    """What a model would fill in, after the time that it would take."""
    body = await request.json()
    wanted = body["response_format"]["json_schema"]["schema"]["properties"]
    artist = "Miles Davis"
    if body["temperature"] == 0 and "Wrong:" not in body["messages"][-1]["content"]:
        artist = "Nobody"  # finds nothing, so that it is repaired
    parts = {"table": "songs", "select": "title", "where": "artist", "operator": "="}
    text = json.dumps({name: parts.get(name, artist) for name in wanted})
    tokens = len(text) // 4
    await asyncio.sleep(PREFILL_S + TOKEN_S * tokens)
    message = {"role": "assistant", "content": text}
    return web.json_response(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "fake",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": tokens,
                "total_tokens": 100 + tokens,
            },
        }
    )


async def models(request: web.Request) -> web.Response:
    """The list of models."""
    return web.json_response({"object": "list", "data": [{"id": "fake", "object": "model"}]})


async def backend() -> web.AppRunner:
    """A backend with the delays of an engine."""
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", answer), web.get("/v1/models", models)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def both(url: str, journal_file: Path, turns: int) -> dict[str, list[float]]:
    """Seconds of each turn, with a journal and without."""
    os.environ["HEADWAY_URL"] = url  # of the calls outside of runs
    (example,) = load(EXAMPLE)
    catalog, journal, calls = Catalog([example]), Journal.open(str(journal_file)), Gateway(url)
    ended: asyncio.Queue[RunRow] = asyncio.Queue()
    worker = Worker(journal, catalog, calls, export=lambda run, _: ended.put_nowait(run))
    working = asyncio.create_task(worker.run())

    async def as_workflow() -> None:
        await start(journal, catalog, example, {"question": QUESTION})
        worker.wake()
        run = await ended.get()
        assert run.state == "finished", run.error_json

    async def plain() -> None:
        await example(QUESTION)

    ways: dict[str, Callable[[], Awaitable[None]]] = {"workflow": as_workflow, "plain": plain}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-2, turns):
        for name in sorted(ways, reverse=turn % 2 == 0):
            began_s = time.perf_counter()
            await ways[name]()
            if turn >= 0:  # two to warm up
                took[name].append(time.perf_counter() - began_s)
    working.cancel()
    await asyncio.wait([working])
    await calls.close()
    journal.close()
    return took


async def measured(folder: Path, turns: int, engine_turns: int) -> dict[str, Any]:
    """Both ways on both engines."""
    found = {}
    runner = await backend()
    fake = Server(f"http://127.0.0.1:{runner.addresses[0][1]}", os.getpid())
    for name, served, count in (
        ("backend with delays", fake, turns),
        ("embedded engine", None, engine_turns),
    ):
        with tempfile.TemporaryDirectory(dir=folder) as logs:
            context = gateway(served, Path(logs), SLOTS)
            server = await asyncio.to_thread(context.__enter__)  # it asks the backend in this loop
            try:
                found[name] = await both(server.url, Path(logs) / "workflows.db", count)
            finally:
                await asyncio.to_thread(context.__exit__, None, None, None)
    await runner.cleanup()
    return found


def commit_s(folder: Path) -> float:
    """The median of what SQLite takes to have a row on the disk."""
    took = []
    with closing(sqlite3.connect(folder / "commits.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE rows (number)")
        for number in range(100):
            began_s = time.perf_counter()
            database.execute("INSERT INTO rows VALUES (?)", (number,))
            took.append(time.perf_counter() - began_s)
    return statistics.median(took)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--engine-turns", type=int, default=12)
    parser.add_argument("--json", type=Path, default=Path("results/workflow_overhead.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on a disk, not in memory
        found = asyncio.run(measured(Path(folder), options.turns, options.engine_turns))
        print(f"a commit takes {commit_s(Path(folder)) * 1e3:.1f} ms")
    claims = []
    for engine, took in found.items():
        if not took["plain"]:
            continue  # it had no turns
        medians = {name: statistics.median(each) for name, each in took.items()}
        print(", ".join(f"{name} {one:.3f} s" for name, one in medians.items()), f"({engine})")
        added = medians["workflow"] / medians["plain"] - 1
        claims.append(Claim(f"time that the journal adds, %, {engine}", 100 * added, 5))
    return publish(claims, {"seconds": found}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
