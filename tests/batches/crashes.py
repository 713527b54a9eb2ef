"""Gateways in processes of their own that run a batch, and are killed while they do."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
from openai.types import Batch
from tests.gateway.fake_backend import FakeBackend

SERVE = "from headway.cli import main; main()"
READY = b"Headway serves "
CHAT = "/v1/chat/completions"


def request(n: int, words: str = "") -> bytes:
    """Line `n` of an input file."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"{n}{words}"},
    ]
    body = {"model": "fake", "messages": messages}
    line = {"custom_id": f"c{n}", "method": "POST", "url": CHAT, "body": body}
    return json.dumps(line).encode() + b"\n"


@dataclass
class Gateway:
    """One process of `headway serve`."""

    process: asyncio.subprocess.Process
    address: str

    @classmethod
    async def start(cls, backend: str, folder: Path, slots: int) -> Gateway:
        """Start one and wait until it serves."""
        settings = (
            f"log.requests_db={folder / 'requests.db'}",
            f"batch.folder={folder / 'batches'}",
            "models=[]",
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, "serve", "--backend", backend, "--port", "0",
            "--max-concurrency", str(slots), "--log-level", "warning",
            *(word for one in settings for word in ("--set", one)),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(60.0):
            while line := await process.stdout.readline():
                if READY in line:
                    address = line.partition(READY)[2].split()[0].decode().removesuffix("/v1")
                    return cls(process, address)
        raise AssertionError("it ended before it served")

    def client(self) -> openai.AsyncOpenAI:
        """The official client of it."""
        return openai.AsyncOpenAI(base_url=f"{self.address}/v1", api_key="none", timeout=120.0)

    async def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        await self.process.wait()


@dataclass
class Report:
    """What was seen."""

    batch: Batch
    answers: Counter[str] = field(default_factory=Counter)
    """How often each custom_id is in the output or error file."""
    kills: int = 0
    ran_again: set[str] = field(default_factory=set)
    """Lines that were asked though their answer was in the journal."""
    asked: Counter[str] = field(default_factory=Counter)
    starts_s: list[float] = field(default_factory=list)
    """From the start of a process until it serves."""
    taken_over_s: list[float] = field(default_factory=list)
    """From the start of a process to its first line."""


async def run_and_kill(
    folder: Path, *, lines: int, kills: int, slots: int = 4, line_s: float = 0.04, seed: int = 1
) -> Report:
    """Run a batch, and kill its gateway at random moments."""
    chance = random.Random(seed)
    backend = FakeBackend()
    backend.event_pause_s = line_s / 100
    await backend.start()
    try:
        gateway = await Gateway.start(backend.url, folder, slots)
        async with gateway.client() as client:
            content = b"".join(map(request, range(lines)))
            uploaded = await client.files.create(file=("in.jsonl", content), purpose="batch")
            batch = await client.batches.create(
                input_file_id=uploaded.id, endpoint=CHAT, completion_window="24h"
            )
        report = Report(batch)
        for _ in range(kills):
            known = len(backend.requests)
            await _until(lambda: len(backend.requests) > known)  # noqa: B023
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            await gateway.kill()
            done = _finished(folder)
            backend_asked = len(backend.requests)
            report.kills += 1
            began_s = time.monotonic()
            gateway = await Gateway.start(backend.url, folder, slots)
            report.starts_s.append(time.monotonic() - began_s)
            await _until(lambda: len(backend.requests) > backend_asked)  # noqa: B023
            report.taken_over_s.append(time.monotonic() - began_s)
            again = {_name(body) for _, body in backend.requests[backend_asked:]}
            report.ran_again |= again & done
        async with gateway.client() as client:
            while report.batch.status != "completed":
                await asyncio.sleep(0.05)
                report.batch = await client.batches.retrieve(batch.id)
            for file in (report.batch.output_file_id, report.batch.error_file_id):
                if file is not None:
                    text = (await client.files.content(file)).text
                    report.answers.update(json.loads(one)["custom_id"] for one in text.splitlines())
        report.asked.update(_name(body) for _, body in backend.requests)
        await gateway.stop()
        return report
    finally:
        await backend.stop()


def _name(body: dict[str, Any]) -> str:
    return f"c{body['messages'][1]['content']}"


def _finished(folder: Path) -> set[str]:
    """Lines whose answers are in the journal."""
    with sqlite3.connect(folder / "batches" / "batches.db") as database:
        rows = database.execute("SELECT answer FROM results").fetchall()
    return {json.loads(answer)["custom_id"] for (answer,) in rows}


async def _until(condition: Any, limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.005)
