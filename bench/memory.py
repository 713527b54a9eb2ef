"""Memory of 10,000 waiting requests.

    python bench/memory.py [--waiting 10000] [--json results/memory.json]

One request runs on a backend that never answers; the others wait behind it, each on a
connection of its own. What counts is the resident memory of the gateway process, before and
with them. Needs as many file descriptors (`ulimit -n`) in this process and in the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import urllib.request
from pathlib import Path

from claims import Claim, publish
from processes import Server, allow_files, fake_backend, gateway

MEGABYTE = 1024 * 1024
PROMPT = "Tell me everything that is known about the history of lighthouses. " * 6


async def memory_of(server: Server, waiting: int) -> tuple[int, int]:
    """Resident bytes of `server` before and with so many waiting requests."""
    host, port = server.url.removeprefix("http://").split(":")
    writers: list[asyncio.StreamWriter] = []

    async def ask(number: int) -> None:
        _, writer = await asyncio.open_connection(host, int(port))
        message = {"role": "user", "content": f"{number}: {PROMPT}"}
        body = json.dumps({"model": "fake", "messages": [message], "max_tokens": 500}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        writers.append(writer)

    def depth() -> int:
        with urllib.request.urlopen(server.url + "/v1/headway/queue?limit=1") as answer:
            return int(json.load(answer)["waiting"])

    await ask(0)
    before = server.memory_bytes
    for start in range(0, waiting, 100):
        await asyncio.gather(*(ask(number) for number in range(start, start + 100)))
    async with asyncio.timeout(60):
        while await asyncio.to_thread(depth) < waiting:
            await asyncio.sleep(0.2)
    with_them = server.memory_bytes
    for writer in writers:
        writer.close()
    return before, with_them


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--json", type=Path, default=Path("results/memory.json"))
    options = parser.parse_args()
    allow_files(options.waiting + 200, parser)
    with (
        tempfile.TemporaryDirectory() as name,
        fake_backend("--hold") as backend,
        gateway(backend, Path(name), 1, "--set", "tiers.standard.max_queue=100000") as through,
    ):
        before, after = asyncio.run(memory_of(through, options.waiting))
    added = (after - before) / MEGABYTE
    claims = [Claim(f"memory of {options.waiting} waiting requests, MB", added, 160)]
    details = {"before_mb": before / MEGABYTE, "with_them_mb": after / MEGABYTE}
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
