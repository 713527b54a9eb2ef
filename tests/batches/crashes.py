"""Gateways in processes of their own that run a batch, and are killed while they do."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import openai
import psycopg
from openai.types import Batch
from tests.gateway.fake_backend import FakeBackend

READY = b"Headway serves "
CHAT: Final = "/v1/chat/completions"


def request(n: int, words: str = "") -> bytes:
    """Line `n` of an input file."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"{n}{words}"},
    ]
    body = {"model": "fake", "messages": messages}
    line = {"custom_id": f"c{n}", "method": "POST", "url": CHAT, "body": body}
    return json.dumps(line).encode() + b"\n"


@dataclass(frozen=True)
class Site:
    """Where a gateway runs, and what it shares with others."""

    folder: Path
    backend: str | None
    """Its address; None: the embedded engine."""
    slots: int
    database: str | None = None
    host: str | None = None
    """The machine that it is on; None: this one."""
    lease_s: float | None = None
    """None: as long as leases are."""
    max_file_mb: int = 200

    def program(self) -> str:
        """The program of a process there."""
        lines = ["from headway.store import leases, owner"]
        if self.host is not None:
            lines.append(f"owner._machine = lambda: {self.host!r}")
        if self.lease_s is not None:
            lines.append(f"leases.LEASE_S = {self.lease_s}")
        return "; ".join([*lines, "from headway.cli import main; main()"])

    def engine(self) -> list[str]:
        """The options that say where its lines run."""
        if self.backend is None:
            return ["--slots", str(self.slots)]
        return ["--backend", self.backend, "--max-concurrency", str(self.slots)]

    def settings(self) -> list[str]:
        """Its settings."""
        settings = [
            f"log.requests_db={self.folder / 'requests.db'}",
            f"batch.folder={self.folder / 'batches'}",
            f"batch.max_file_mb={self.max_file_mb}",
            "models=[]",
        ]
        if self.database is not None:
            settings.append(f"batch.database={self.database}")
        return settings


@dataclass
class Gateway:
    """One process of `headway serve`."""

    process: asyncio.subprocess.Process
    address: str
    site: Site

    @classmethod
    async def start(cls, site: Site) -> Gateway:
        """Start one and wait until it serves."""
        site.folder.mkdir(exist_ok=True)
        with (site.folder / "log.txt").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", site.program(), "serve",
                *site.engine(), "--port", "0", "--log-level", "warning",
                *(word for one in site.settings() for word in ("--set", one)),
                stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(60.0):
            while line := await process.stdout.readline():
                if READY in line:
                    address = line.partition(READY)[2].split()[0].decode().removesuffix("/v1")
                    return cls(process, address, site)
        raise AssertionError("it ended before it served")

    def client(self) -> openai.AsyncOpenAI:
        """The official client of it."""
        return openai.AsyncOpenAI(base_url=f"{self.address}/v1", api_key="none", timeout=120.0)

    async def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        await self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        await self.process.wait()

    @property
    def log(self) -> str:
        """What processes there have logged."""
        return (self.site.folder / "log.txt").read_text()


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
    """From the start of a process to its first line; with another host, from the kill to that."""


async def run_and_kill(
    folder: Path, *, lines: int, kills: int, slots: int = 4, line_s: float = 0.04, seed: int = 1
) -> Report:
    """Run a batch on one machine, kill its gateway at random moments and start it again."""
    chance = random.Random(seed)
    async with backend_of(line_s) as backend:
        site = Site(folder, backend.url, slots)
        gateway = await Gateway.start(site)
        report = Report(await begun(gateway, lines))
        for _ in range(kills):
            await asked_more(backend, len(backend.requests))
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            await gateway.kill()
            before = killed(report, backend, site)
            began_s = time.monotonic()
            gateway = await Gateway.start(site)
            report.starts_s.append(time.monotonic() - began_s)
            await asked_more(backend, before[0])
            report.taken_over_s.append(time.monotonic() - began_s)
            note_again(report, backend, *before)
        await ended(gateway, report, backend)
        await gateway.stop()
        return report


async def run_on_two_hosts(
    folder: Path,
    database: str,
    *,
    lines: int,
    kills: int = 0,
    freezes: int = 0,
    slots: int = 4,
    line_s: float = 0.04,
    lease_s: float | None = None,
    seed: int = 1,
) -> tuple[Report, str]:
    """Run a batch while the gateway that has it is frozen or killed, and another takes over.

    A frozen one goes on once it has lost the batch. Returns what was seen, and both logs.
    """
    chance = random.Random(seed)
    async with backend_of(line_s) as backend, AsyncExitStack() as stack:
        gateways: dict[str, Gateway] = {}
        for host in ("host-a", "host-b"):
            site = Site(folder / host, backend.url, slots, database, host, lease_s)
            gateways[host] = await Gateway.start(site)
            stack.push_async_callback(_stop, gateways, host)
        report = Report(await begun(gateways["host-a"], lines))
        for n in range(freezes + kills):
            known = len(backend.requests)
            await _until(lambda: len(backend.requests) > known or _over(database))  # noqa: B023
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            if _over(database):
                break  # quicker than those who kill
            host = _holder(database)
            gateway = gateways[host]
            if n < freezes:
                gateway.freeze()
            else:
                await gateway.kill()
            await asyncio.sleep(0.1)  # what had left it arrives
            began_s = time.monotonic() - 0.1
            before = killed(report, backend, gateway.site)
            await asked_more(backend, before[0])
            report.taken_over_s.append(time.monotonic() - began_s)
            note_again(report, backend, *before)
            if n < freezes:
                gateway.thaw()
                await _until(lambda: "is run by another process now" in gateway.log)  # noqa: B023
            else:
                gateways[host] = await Gateway.start(gateway.site)
        await ended(gateways["host-b"], report, backend)
    return report, "".join(one.log for one in gateways.values())


async def _stop(gateways: dict[str, Gateway], host: str) -> None:
    gateways[host].thaw()  # it may be frozen
    await gateways[host].stop()


@asynccontextmanager
async def backend_of(line_s: float) -> AsyncIterator[FakeBackend]:
    """A backend that takes so long for a line."""
    backend = FakeBackend()
    backend.event_pause_s = line_s / 100
    await backend.start()
    try:
        yield backend
    finally:
        await backend.stop()


async def begun(gateway: Gateway, lines: int) -> Batch:
    """A batch of so many lines."""
    async with gateway.client() as client:
        content = b"".join(map(request, range(lines)))
        uploaded = await client.files.create(file=("in.jsonl", content), purpose="batch")
        return await client.batches.create(
            input_file_id=uploaded.id, endpoint=CHAT, completion_window="24h"
        )


async def asked_more(backend: FakeBackend, known: int) -> None:
    """Wait until the backend was asked more often than that."""
    await _until(lambda: len(backend.requests) > known)


def killed(report: Report, backend: FakeBackend, site: Site) -> tuple[int, set[str]]:
    """How often the backend was asked by then, and which lines are finished."""
    report.kills += 1
    return len(backend.requests), _finished(site)


def note_again(report: Report, backend: FakeBackend, asked: int, done: set[str]) -> None:
    """Note which of the lines that were finished have been asked again."""
    report.ran_again |= {_name(body) for _, body in backend.requests[asked:]} & done


async def ended(gateway: Gateway, report: Report, backend: FakeBackend) -> None:
    """Wait for the end of the batch, and read its files."""
    async with gateway.client() as client:
        while report.batch.status != "completed":
            await asyncio.sleep(0.05)
            report.batch = await client.batches.retrieve(report.batch.id)
        for file in (report.batch.output_file_id, report.batch.error_file_id):
            if file is not None:
                text = (await client.files.content(file)).text
                report.answers.update(json.loads(one)["custom_id"] for one in text.splitlines())
    report.asked.update(_name(body) for _, body in backend.requests)


def _name(body: dict[str, Any]) -> str:
    return f"c{body['messages'][1]['content']}"


def _finished(site: Site) -> set[str]:
    """Lines whose answers are in the journal."""
    asked = "SELECT answer FROM results"
    if site.database is None:
        with sqlite3.connect(site.folder / "batches" / "batches.db") as database:
            rows = database.execute(asked).fetchall()
    else:
        with psycopg.connect(site.database) as server:
            rows = server.execute(asked).fetchall()
    return {json.loads(answer)["custom_id"] for (answer,) in rows}


def _over(database: str) -> bool:
    """Whether all lines of the batch have answers."""
    with psycopg.connect(database) as server:
        ((status,),) = server.execute("SELECT status FROM batches").fetchall()
    return status in ("finalizing", "completed")


def _holder(database: str) -> str:
    """The machine whose gateway runs the batch."""
    with psycopg.connect(database) as server:
        ((holder,),) = server.execute("SELECT holder FROM batches").fetchall()
    return str(holder).partition("/")[0]


async def _until(condition: Any, limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.005)
