"""Interactive requests beside a saturating batch: three gateways on one engine, against one.

    python bench/shared_engine.py [--rounds 3] [--seconds 20]

One llama.cpp with the built-in model. In front of it, in turn, one gateway, and three that share
its slots through Redis. Batch requests are sent to all of the gateways, twice as many as there are
slots, and interactive ones to each in turn; time to first token is that of the interactive ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from statistics import median

from claims import Claim, publish
from headway.engines.embedded import EmbeddedServer
from headway.engines.model_file import find_model
from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.metrics import percentile
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.workload import LoadRequest
from processes import free_port
from redis_server import redis_server
from shared_queue_faults import all_shared

BATCH_TOKENS = 150
TOKENS = 8
RATE = 1.0


async def answers(
    urls: list[str], slots: int, seconds: float, seed: int
) -> list[tuple[float, float]]:
    """Times to first token of interactive requests while batch requests keep all slots busy, and
    how long each of them waited for a slot; s."""
    rng, prompts = random.Random(seed), cycle(load_prompts())
    found: list[tuple[float, float]] = []
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(LoadClient(f"{url}/v1", "default", timeout_s=120.0))
            for url in urls
        ]

        async def batch(number: int) -> None:
            while True:
                messages = next(prompts).messages
                request = LoadRequest(0.0, messages, BATCH_TOKENS, tier="batch", ignore_eos=True)
                await clients[number % len(clients)].send(request)

        async def ask(number: int) -> None:
            messages = next(prompts).messages
            request = LoadRequest(0.0, messages, TOKENS, tier="interactive", ignore_eos=True)
            result = await clients[number % len(clients)].send(request)
            if result.ok and result.ttft_s is not None:
                found.append((result.ttft_s, result.queue_s or 0.0))

        load = [asyncio.ensure_future(batch(number)) for number in range(2 * slots)]
        await asyncio.sleep(3.0)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        asked: list[asyncio.Future[None]] = []
        while loop.time() < until_s:
            asked.append(asyncio.ensure_future(ask(len(asked))))
            await asyncio.sleep(rng.expovariate(RATE))
        await asyncio.gather(*asked)
        for one in load:
            one.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    return found


async def measure(options: argparse.Namespace) -> dict[str, list[list[float]]]:
    rounds: dict[str, list[list[float]]] = {"one": [], "three": []}
    engine = EmbeddedServer(find_model(None), name="engine", slots=options.slots)
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        gateways = []
        await engine.start()
        try:
            while engine.endpoint is None:
                await asyncio.sleep(0.1)
            backend = {"url": engine.endpoint.url, "api_key": engine.endpoint.api_key}
            command = [str(Path(sys.executable).with_name("headway")), "serve"]
            command += ["--set", f"backends={json.dumps([backend])}", "--set", "models=[]"]
            command += ["--set", "log.requests_db=null"]
            ports = [free_port() for _ in range(4)]
            for number, port in enumerate(ports):
                queue = ["--set", f"queue={redis.url}"] if number else []
                with (Path(folder) / f"{number}.log").open("wb") as log:
                    gateways.append(
                        subprocess.Popen(
                            [*command, *queue, "--port", str(port)], stdout=log, stderr=log
                        )
                    )
            one, *three = [f"http://127.0.0.1:{port}" for port in ports]
            await asyncio.gather(*map(all_shared, three))
            for number in range(options.rounds):
                for name, urls in (("one", [one]), ("three", three))[:: 1 - 2 * (number % 2)]:
                    got = await answers(urls, options.slots, options.seconds, number)
                    found, waits = [list(of) for of in zip(*got, strict=True)]
                    rounds[name].append(found)
                    print(
                        f"{name:6} {len(found)} requests, TTFT p50 {median(found) * 1e3:.0f} ms, "
                        f"p99 {percentile(found, 0.99) * 1e3:.0f} ms; waited "
                        f"for a slot {median(waits) * 1e3:.1f}, "
                        f"{percentile(waits, 0.99) * 1e3:.1f} ms",
                        flush=True,
                    )
        finally:
            for gateway in gateways:
                gateway.terminate()
            for gateway in gateways:
                gateway.wait()
            await engine.stop()
    return rounds


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("results/shared_engine.json"))
    options = parser.parse_args()
    rounds = asyncio.run(measure(options))
    pairs = list(zip(*rounds.values(), strict=True))
    ratios = {
        name: [percentile(three, q) / percentile(one, q) for one, three in pairs]
        for name, q in (("p50", 0.5), ("p99", 0.99))
    }
    claims = [
        Claim(f"interactive TTFT of three over one, {name}, median of rounds", median(of), 1.1)
        for name, of in ratios.items()
    ]
    return publish(claims, {"ttft_s": rounds, "ratios": ratios}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
