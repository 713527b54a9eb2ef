"""What the gateway adds to a call of an instant backend, beside the least that a proxy can add.

    python bench/overhead.py [--seconds 8] [--json results/overhead.json]

A fake backend answers every chat completion at once with 100 tokens. `wrk` calls it directly,
through `headway serve` (with its defaults: one log line and one database row a request) and
through a bare aiohttp proxy (`passthrough.py`), at one connection and at 32, in turn, three times;
the median of the three counts. A streamed chunk is charged with the CPU time of the whole process,
over streams slow enough that every chunk comes by itself. Needs `wrk` (apt install wrk).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from claims import Claim, publish
from processes import Server, fake_backend, gateway, passthrough

PATH = "/v1/chat/completions"
BODY = {
    "model": "fake",
    "messages": [
        {"role": "user", "content": "Say something that is one hundred tokens long, please."}
    ],
    "max_tokens": 100,
}
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = %s
function done(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d %%d\\n", summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    summary.errors.status, summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout))
end
"""
ROUNDS = 3
STREAMS = 64
"""Streams at a time, of a hundred tokens a second each."""


@dataclass(frozen=True)
class Load:
    """One run of wrk."""

    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    cpu_us_per_request: float
    """CPU time of the server."""


def load(server: Server, connections: int, seconds: float, script: Path) -> Load:
    """Call `server` for `seconds` on so many connections."""
    before_s = server.cpu_s
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script)]
    done = subprocess.run([*command, server.url + PATH], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    requests, duration_us, p50, p99, worst, errors, broken = map(int, line.split()[1:])
    if errors or broken:
        raise RuntimeError(f"{errors} error answers and {broken} broken connections")
    return Load(
        connections=connections,
        requests_per_s=requests / (duration_us / 1e6),
        p50_ms=p50 / 1000,
        p99_ms=p99 / 1000,
        worst_ms=worst / 1000,
        cpu_us_per_request=(server.cpu_s - before_s) / requests * 1e6,
    )


def median(loads: list[Load]) -> Load:
    """The medians of several runs of one kind, number by number."""
    rows = [asdict(one) for one in loads]
    return Load(**{name: statistics.median(row[name] for row in rows) for name in rows[0]})


async def chunk_cost_us(server: Server, streams: int, seconds: float) -> tuple[float, int]:
    """CPU time of `server` for one streamed chunk, in microseconds, and the number of chunks."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({**BODY, "stream": True}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    chunks = 0
    stop = asyncio.Event()

    async def client() -> None:
        nonlocal chunks
        while not stop.is_set():
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode() + body)
            rest = b""
            while b"[DONE]" not in rest:
                block = await reader.read(65536)
                if not block:
                    raise RuntimeError("a stream broke off")
                rest = rest[-16:] + block
                chunks += block.count(b"data:")
            writer.close()

    before_s = server.cpu_s
    clients = [asyncio.create_task(client()) for _ in range(streams)]
    await asyncio.sleep(seconds)
    stop.set()
    await asyncio.gather(*clients)
    return (server.cpu_s - before_s) / chunks * 1e6, chunks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run")
    parser.add_argument("--json", type=Path, default=Path("results/overhead.json"))
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is missing: apt install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(SCRIPT % json.dumps(json.dumps(BODY)))
        loads: dict[str, list[Load]] = {}
        with (
            fake_backend() as backend,
            passthrough(backend) as bare,
            gateway(backend, folder, 64) as through,
        ):
            servers = {"direct": backend, "bare": bare, "through": through}
            for server in servers.values():
                load(server, 8, 1.0, script)  # warm up
            for _ in range(ROUNDS):
                for connections in (1, 32):
                    for label, server in servers.items():
                        one = load(server, connections, options.seconds, script)
                        loads.setdefault(f"{label} {connections}", []).append(one)
        with (
            fake_backend("--pause", "0.01") as backend,
            passthrough(backend) as bare,
            gateway(backend, folder, 64) as through,
        ):
            costs: dict[str, list[float]] = {"bare": [], "through": []}
            chunks = 0
            for _ in range(ROUNDS):
                for label, server in (("bare", bare), ("through", through)):
                    cost_us, seen = asyncio.run(chunk_cost_us(server, STREAMS, options.seconds))
                    costs[label].append(cost_us)
                    chunks += seen
    result = {label: median(runs) for label, runs in loads.items()}
    print(f"{'':12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
    for label, one in result.items():
        print(
            f"{label:12}{one.requests_per_s:12.0f}{one.p50_ms:9.3f}{one.p99_ms:9.2f}"
            f"{one.cpu_us_per_request:9.0f}"
        )
    added_ms = result["through 1"].p50_ms - result["direct 1"].p50_ms
    chunk_us = {label: statistics.median(each) for label, each in costs.items()}
    print("CPU of a streamed chunk: " + ", ".join(f"{k} {v:.1f} us" for k, v in chunk_us.items()))
    rate = result["through 32"].requests_per_s
    claims = [
        Claim("p50 added at one connection, ms", added_ms, 0.45),
        Claim("requests/s at 32 connections", rate, 3500, at_most=False),
        Claim("p99 at 32 connections, ms", result["through 32"].p99_ms, 30),
        Claim(
            "requests/s at 32 connections, of the bare proxy's",
            rate / result["bare 32"].requests_per_s,
            0.5,
            at_most=False,
        ),
        Claim(
            "CPU time of a streamed chunk, of the bare proxy's",
            chunk_us["through"] / chunk_us["bare"],
            1.3,
        ),
    ]
    details = {
        "loads": {label: asdict(one) for label, one in result.items()},
        "rounds": {label: [asdict(one) for one in runs] for label, runs in loads.items()},
        "chunk_us": costs,
        "streamed_chunks": chunks,
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
