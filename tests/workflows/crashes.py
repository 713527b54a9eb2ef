"""Kills the processes that work on a run, again and again, and looks at what became of it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from headway.workflows.catalog import Catalog, load
from headway.workflows.journal.journal import Journal
from headway.workflows.starting import start

PROGRAM = Path(__file__).with_name("programs") / "crashed.py"


class PayingServer:
    """Answers chats, and counts what is paid: a call with a known idempotency key is not.

    Args:
        delay_s: how long the model takes.
    """

    def __init__(self, delay_s: float) -> None:
        self.answered = 0
        self.repeated = 0
        self.traceparents: set[str] = set()
        self._delay_s = delay_s
        self._kept: dict[str, dict[str, Any]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """The same text for everybody."""
        key = request.headers["idempotency-key"]
        self.traceparents.add(request.headers["traceparent"])
        if key in self._kept:
            self.repeated += 1
        else:
            await asyncio.sleep(self._delay_s)
            message = {"role": "assistant", "content": "fine"}
            self._kept[key] = {
                "model": "fake",
                "choices": [{"message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 1},
            }
            self.answered += 1
        return web.json_response(self._kept[key])

    async def listen(self) -> tuple[web.AppRunner, str]:
        """Start; return the server and its address."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return runner, f"http://{host}:{port}"


@dataclass
class Report:
    """What became of the run."""

    state: str = ""
    output_json: str | None = None
    kills: int = 0
    ran_again: list[str] = field(default_factory=list)
    """Steps that began after they had ended."""
    steps_begun: int = 0
    paid: int = 0
    answered_again: int = 0
    """Calls whose answer was lost on the way, and which the server answered without paying."""
    wall_s: float = 0.0


async def run_and_kill(
    journal: str,
    folder: Path,
    *,
    kills: int,
    processes: int = 1,
    branches: int = 8,
    steps: int = 25,
    step_s: float = 0.1,
    work_s: float = 0.5,
    seed: int = 0,
) -> Report:
    """Start a run, kill one of its workers `kills` times, and let it end.

    Args:
        journal: its address.
        folder: for the log of steps.
        kills: how many.
        processes: workers that share the journal.
        branches: of the run.
        steps: of each branch.
        step_s: how long a step takes.
        work_s: the longest time between the first step that a worker begins and its end.
        seed: of the moments.
    """
    chance = random.Random(seed)
    log = folder / "steps.log"
    log.touch()
    os.environ["STEPS_LOG"], os.environ["STEP_S"] = str(log), str(step_s)
    server = PayingServer(step_s)
    runner, url = await server.listen()
    opened = Journal.open(journal)
    [workflow] = load(PROGRAM)
    row = await start(opened, Catalog([workflow]), workflow, {"branches": branches, "steps": steps})
    report = Report()
    began_s = time.monotonic()
    workers = [_worker(journal, url) for _ in range(processes)]
    finished: list[tuple[set[str], int]] = []
    size = 0
    try:
        while not (row := await opened.run(row.id)).state.ended:
            if report.kills == kills:
                await asyncio.sleep(0.05)
                continue
            if log.stat().st_size == size:  # nothing has begun since the last kill
                await asyncio.sleep(0.01)
                continue
            await asyncio.sleep(chance.uniform(0.0, work_s))
            victim = chance.randrange(processes)
            workers[victim].send_signal(signal.SIGKILL)
            await asyncio.to_thread(workers[victim].wait)
            report.kills += 1
            known = await opened.steps(row.id)
            ended = {one.path for one in known.values() if one.state.ended}
            finished.append((ended, len(log.read_text(encoding="utf-8").splitlines())))
            size = log.stat().st_size
            workers[victim] = _worker(journal, url)
    finally:
        for one in workers:
            one.kill()
            one.wait()
        await runner.cleanup()
        opened.close()
    begun = [_path(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for ended, read in finished:
        report.ran_again += [path for path in begun[read:] if path in ended]
    report.state, report.output_json = row.state, row.output_json
    report.steps_begun = len(begun)
    report.wall_s = time.monotonic() - began_s
    report.paid, report.answered_again = server.answered, server.repeated
    return report


def _worker(journal: str, url: str) -> subprocess.Popen[bytes]:
    script = "from headway.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, "worker", PROGRAM, "--journal", journal, "--url", url],
        stderr=subprocess.DEVNULL,
    )


def _path(line: str) -> str:
    """The step that a line of the log is of."""
    name, branch, number = line.split()
    count = int(number) // 2 + 1
    return f"gather[{branch}]/{name}" + (f"#{count}" if count > 1 else "")
