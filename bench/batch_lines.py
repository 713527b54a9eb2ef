"""A batch against a backend that answers at once: what a line costs; and a gateway that is killed.

    python bench/batch_lines.py [--postgres] [--lines 50000] [--embedded 2000]
        [--upload-mb 2048] [--cancelled 20000] [--kills 20]

The first part prints CPU time of the gateway for each line, and its memory; the second runs short
lines on the embedded engine; the third prints the memory during a large upload; the fourth how long
a cancellation takes; the fifth kills the gateway with SIGKILL while a batch runs, starts it again,
and counts what was lost or run twice. A part of 0 is left out. With --postgres the journal is in a
PostgreSQL of its own, and the last part has gateways on two hosts, as far as they know: another one
takes over.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median

import aiohttp
import msgspec
import openai
from openai.types import Batch

from processes import free_port

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.batches.crashes import CHAT, Gateway, Site, request, run_and_kill, run_on_two_hosts
from tests.gateway.fake_backend import FakeBackend
from tests.store import postgres_server

BACKEND = Path(__file__).parent.parent / "tests/gateway/fake_backend.py"
WORDS = " word" * 40
MOST_LINE_MS, MOST_MB, MOST_CANCEL_S, MOST_TAKE_OVER_S = 1.2, 200.0, 8.0, 10.0
"""The bars."""


class Line(msgspec.Struct):
    """What is counted of an output line."""

    custom_id: str


def cpu_s(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, name: str) -> float:
    """VmRSS or VmHWM of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


async def cost(lines: int, folder: Path, database: str | None) -> bool:
    port = free_port()
    backend = await asyncio.create_subprocess_exec(sys.executable, str(BACKEND), str(port))
    gateway = None
    try:
        await asyncio.sleep(1.0)
        site = Site(folder, f"http://127.0.0.1:{port}", 16, database)
        gateway = await Gateway.start(site)
        pid = gateway.process.pid
        path = folder / "in.jsonl"
        with path.open("wb") as file:
            for n in range(lines):
                file.write(request(n, WORDS))
        async with gateway.client() as client:
            idle_mb = memory_mb(pid, "VmRSS")
            began_s, began_cpu_s = time.monotonic(), cpu_s(pid)
            uploaded = await client.files.create(file=path, purpose="batch")
            upload_cpu_s = cpu_s(pid) - began_cpu_s
            batch = await client.batches.create(
                input_file_id=uploaded.id, endpoint=CHAT, completion_window="24h"
            )
            while batch.status not in ("completed", "failed"):
                await asyncio.sleep(1.0)
                batch = await client.batches.retrieve(batch.id)
            wall_s, used_s = time.monotonic() - began_s, cpu_s(pid) - began_cpu_s
            seen = await custom_ids(client, batch)
        line_ms, most_mb = used_s / lines * 1000, memory_mb(pid, "VmHWM")
        once = seen == {f"c{n}": 1 for n in range(lines)}
        print(
            f"{lines:,} lines, {path.stat().st_size / 2**20:.0f} MB: {batch.status}, every "
            f"custom_id once: {once}; {wall_s:.0f} s, CPU {line_ms:.2f} ms a line "
            f"(upload {upload_cpu_s:.1f} s of it), memory {idle_mb:.0f} MB idle, "
            f"{most_mb:.0f} MB at most",
            flush=True,
        )
        return once and line_ms <= MOST_LINE_MS and most_mb <= MOST_MB
    finally:
        if gateway is not None:
            await gateway.stop()
        backend.terminate()
        await backend.wait()


async def embedded(lines: int, folder: Path, database: str | None) -> bool:
    gateway = await Gateway.start(Site(folder, None, 4, database))
    path = folder / "in.jsonl"
    with path.open("wb") as file:
        for n in range(lines):
            body = {"messages": [{"role": "user", "content": f"Count from {n}."}], "max_tokens": 4}
            line = {"custom_id": f"c{n}", "method": "POST", "url": CHAT, "body": body}
            file.write(msgspec.json.encode(line) + b"\n")
    try:
        async with gateway.client() as client:
            await until_ready(gateway)
            began_s = time.monotonic()
            uploaded = await client.files.create(file=path, purpose="batch")
            batch = await client.batches.create(
                input_file_id=uploaded.id, endpoint=CHAT, completion_window="24h"
            )
            while batch.status not in ("completed", "failed"):
                await asyncio.sleep(1.0)
                batch = await client.batches.retrieve(batch.id)
            took_s = time.monotonic() - began_s
            seen = await custom_ids(client, batch)
        once, counts = seen == {f"c{n}": 1 for n in range(lines)}, batch.request_counts
        assert counts is not None
        print(
            f"{lines:,} lines on the embedded engine: {batch.status}, every custom_id once: "
            f"{once}, {counts.completed:,} completed; {took_s:.0f} s, {lines / took_s:.1f} lines/s",
            flush=True,
        )
        return once and counts.completed == lines
    finally:
        await gateway.stop()


async def until_ready(gateway: Gateway) -> None:
    async with aiohttp.ClientSession() as http:
        while (await http.get(f"{gateway.address}/readyz")).status != 200:
            await asyncio.sleep(0.5)


async def custom_ids(client: openai.AsyncOpenAI, batch: Batch) -> Counter[str]:
    """How often each is in the output or error file."""
    seen: Counter[str] = Counter()
    for output in (batch.output_file_id, batch.error_file_id):
        if output is not None:
            text = await (await client.files.content(output)).aread()
            seen.update(msgspec.json.decode(o, type=Line).custom_id for o in text.splitlines())
    return seen


async def uploaded(megabytes: int, folder: Path, database: str | None) -> bool:
    site = Site(folder, "http://127.0.0.1:9", 4, database, max_file_mb=megabytes + 1)
    gateway = await Gateway.start(site)
    piece = request(0, " word" * 13_000)

    async def content() -> AsyncIterator[bytes]:
        for _ in range(megabytes * 2**20 // len(piece)):
            yield piece

    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as http:
            idle_mb, began_s = memory_mb(gateway.process.pid, "VmRSS"), time.monotonic()
            form = aiohttp.FormData({"purpose": "batch"})
            form.add_field("file", content(), filename="in.jsonl")
            async with http.post(f"{gateway.address}/v1/files", data=form) as answer:
                file = await answer.json()
            took_s = time.monotonic() - began_s
            most_mb = memory_mb(gateway.process.pid, "VmHWM")
        print(
            f"{file['bytes'] / 2**20:,.0f} MB uploaded in {took_s:.0f} s, memory {idle_mb:.0f} MB "
            f"idle, {most_mb:.0f} MB at most",
            flush=True,
        )
        return most_mb <= MOST_MB
    finally:
        await gateway.stop()


async def cancelled(lines: int, folder: Path, database: str | None) -> bool:
    backend = FakeBackend(record=False)
    await backend.start()
    gateway = await Gateway.start(Site(folder, backend.url, 4, database))
    try:
        async with gateway.client() as client:
            content = b"".join(map(request, range(lines)))
            uploaded = await client.files.create(file=("in.jsonl", content), purpose="batch")
            batch = await client.batches.create(
                input_file_id=uploaded.id, endpoint=CHAT, completion_window="24h"
            )
            while batch.request_counts is None or not batch.request_counts.completed:
                await asyncio.sleep(0.2)
                batch = await client.batches.retrieve(batch.id)
            began_s = time.monotonic()
            batch = await client.batches.cancel(batch.id)
            while batch.status != "cancelled":
                await asyncio.sleep(0.05)
                batch = await client.batches.retrieve(batch.id)
            took_s = time.monotonic() - began_s
            kept = len((await client.files.content(batch.output_file_id or "")).text.splitlines())
            counts = batch.request_counts
            assert counts is not None and counts.completed + counts.failed == lines
            print(f"{lines:,} lines cancelled in {took_s:.1f} s, {kept:,} answers kept", flush=True)
            return took_s <= MOST_CANCEL_S
    finally:
        await gateway.stop()
        await backend.stop()


async def kills(count: int, lines: int, folder: Path, database: str | None) -> bool:
    if database is None:
        report = await run_and_kill(folder, lines=lines, kills=count)
    else:
        # Slower, as the batch goes on while the killed gateway starts.
        report, _ = await run_on_two_hosts(folder, database, lines=lines, kills=count, line_s=0.2)
    missing = lines - len(report.answers)
    twice = sum(n > 1 for n in report.answers.values())
    asked_again = sum(n - 1 for n in report.asked.values())
    print(
        f"{report.kills} kills in {lines:,} lines: {report.batch.status}, {missing} missing, "
        f"{twice} twice, {len(report.ran_again)} finished lines run again "
        f"({asked_again} unfinished ones), taken over in {median(report.taken_over_s):.1f} s, "
        f"{max(report.taken_over_s):.1f} s at most"
        + (
            f"; the start of the process is {median(report.starts_s):.1f} s of it"
            if report.starts_s
            else ""
        )
    )
    lost = missing or twice or report.ran_again
    return not lost and max(report.taken_over_s) <= MOST_TAKE_OVER_S


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--embedded", type=int, default=2000)
    parser.add_argument("--upload-mb", type=int, default=2048)
    parser.add_argument("--cancelled", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--killed-lines", type=int, default=2000)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    cleared: list[bool] = []
    parts: tuple[tuple[Callable[[int, Path, str | None], Awaitable[bool]], int], ...] = (
        (cost, options.lines),
        (embedded, options.embedded),
        (uploaded, options.upload_mb),
        (cancelled, options.cancelled),
        (partial(kills, options.kills), options.kills and options.killed_lines),
    )
    with postgres_server.temporary() if options.postgres else nullcontext() as server:
        for n, (measured, count) in enumerate(parts):
            if count:
                database = server and postgres_server.new_tables(server, f"part{n}")
                with tempfile.TemporaryDirectory() as folder:
                    cleared.append(await measured(count, Path(folder), database))
    if not all(cleared):
        print("a bar was missed")
    return 0 if all(cleared) else 1


sys.exit(asyncio.run(main()))
