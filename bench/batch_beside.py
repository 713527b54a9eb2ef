"""Interactive requests beside a batch that fills every slot, by turns with the same on idle ones.

    python bench/batch_beside.py [--requests 200] [--people 1] [--think 0.4] [--turns 5]

One gateway on the embedded engine. Each turn has three parts: interactive requests alone, a batch
alone, and both together; what differs between parts is then no drift of the machine. People ask,
read the answer, think for a random time and ask again, with the same prompts in both parts of a
turn: so many requests a second come as the machine can answer, whatever else it does.

Times are real, and by the clock of the engine (`engine_clock.py`), which neighbours on the machine
do not move. `--clock engine` holds that one to the bar, where there are such.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import openai

from claims import Claim, publish
from engine_clock import EngineClock, engine_of
from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.metrics import percentile
from headway.lab.loadtest.mix import Mix
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.solo import warm_up
from headway.lab.loadtest.workload import Workload
from headway.machine import usable_cores

CHAT: Final = "/v1/chat/completions"
SETTLE_S = 2.0
"""From the first answered line until anything is counted."""
MOST_RATIO = 1.5
"""The bar: p99 TTFT beside a batch, over that without."""


@dataclass
class Part:
    """What the turns of one kind measured together."""

    ttft_s: list[float] = field(default_factory=list)
    engine_ttft_s: list[float] = field(default_factory=list)
    """The same by the engine's clock."""
    queue_s: list[float] = field(default_factory=list)
    lines: int = 0
    window_s: float = 0.0
    errors: int = 0

    def add(self, one: RequestResult, sent_s: float, clock: EngineClock) -> None:
        if not one.ok or one.ttft_s is None:
            self.errors += 1
            return
        self.ttft_s.append(one.ttft_s)
        self.engine_ttft_s.append(clock.between(sent_s, sent_s + one.ttft_s))
        self.queue_s.append(one.queue_s or 0.0)

    @property
    def lines_per_s(self) -> float:
        return self.lines / self.window_s if self.window_s else 0.0

    def __str__(self) -> str:
        said = []
        if self.ttft_s:
            p50, p90, p99 = (1000 * percentile(self.ttft_s, at) for at in (0.5, 0.9, 0.99))
            waited = 1000 * percentile(self.queue_s, 0.99)
            own = [1000 * percentile(self.engine_ttft_s, at) for at in (0.5, 0.9, 0.99)]
            said.append(
                f"TTFT p50 {p50:.0f} ms, p90 {p90:.0f} ms, p99 {p99:.0f} ms "
                f"(p99 of the wait for a slot {waited:.0f} ms), by the engine's clock "
                f"{own[0]:.0f}, {own[1]:.0f}, {own[2]:.0f} ms, {len(self.ttft_s)} requests"
            )
        if self.window_s:
            said.append(f"{self.lines_per_s:.2f} lines/s")
        return "; ".join(said)


def input_file(lines: int, tokens: int) -> bytes:
    """Lines of a known length each."""
    out = []
    for n, prompt in enumerate(islice(cycle(load_prompts()), lines)):
        # No two lines are alike, or the engine would have computed all but the first's prompts.
        messages = [{"role": "system", "content": f"This is number {n}."}, *prompt.messages[-1:]]
        body = {
            "model": "default",
            "messages": messages,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        line = {"custom_id": f"line-{n}", "method": "POST", "url": CHAT, "body": body}
        out.append(json.dumps(line))
    return "\n".join(out).encode()


@contextlib.asynccontextmanager
async def batch(client: openai.AsyncOpenAI, content: bytes) -> AsyncIterator[str]:
    """A batch that runs; cancelled afterwards, and waited for."""
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    begun = await client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h"
    )
    while not await done(client, begun.id):
        await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLE_S)
    yield begun.id
    ended = await client.batches.cancel(begun.id)
    while ended.status != "cancelled":
        assert ended.status != "completed", "the batch has too few lines; give more"
        await asyncio.sleep(0.1)
        ended = await client.batches.retrieve(begun.id)
    await asyncio.sleep(0.5)


async def done(client: openai.AsyncOpenAI, id: str) -> int:
    """Lines that are answered."""
    counts = (await client.batches.retrieve(id)).request_counts
    return counts.completed if counts is not None else 0


async def people(
    load: LoadClient,
    workload: Workload,
    part: Part,
    clock: EngineClock,
    options: argparse.Namespace,
) -> None:
    """People who ask one after another, until all of `workload` is asked."""
    left = list(workload.requests)
    chance = random.Random(len(left))

    async def person() -> None:
        while left:
            await asyncio.sleep(chance.expovariate(1.0 / options.think))
            if left:
                request, sent_s = replace(left.pop(), at_s=0.0), time.monotonic()
                part.add(await load.send(request), sent_s, clock)

    await asyncio.gather(*(person() for _ in range(options.people)))


async def measure(options: argparse.Namespace) -> dict[str, Part]:
    parts = {"idle": Part(), "alone": Part(), "beside": Part()}
    content = input_file(options.lines, options.line_tokens)
    each = -(-options.requests // options.turns)
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as folder:
        settings = {"slots": options.slots, "batch": {"folder": folder}}
        async with (
            HeadwayServer(settings) as server,
            LoadClient(server.url, "default") as load,
            openai.AsyncOpenAI(base_url=server.url, api_key="none") as client,
            EngineClock(engine_of(server.pid), usable_cores()).running() as clock,
        ):
            for turn in range(options.turns):
                workload = Workload.build(
                    load_prompts(),
                    count=each,
                    max_tokens=options.tokens,
                    tiers=Mix.parse("interactive"),
                    seed=turn,
                )
                if not turn:
                    await warm_up(load, workload)
                await people(load, workload, parts["idle"], clock, options)
                async with batch(client, content) as id:
                    for name in ("alone", "beside"):
                        part, before = parts[name], await done(client, id)
                        began_s = time.monotonic()
                        if name == "alone":
                            await asyncio.sleep(options.alone)
                        else:
                            await people(load, workload, part, clock, options)
                        part.lines += await done(client, id) - before
                        part.window_s += time.monotonic() - began_s
                print(f"turn {turn + 1} of {options.turns}", flush=True)
                for name, part in parts.items():
                    print(f"  {name}: {part}", flush=True)
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=200, help="interactive ones, each part")
    parser.add_argument("--people", type=int, default=1, help="who ask side by side")
    parser.add_argument("--think", type=float, default=0.4, help="s between answer and request")
    parser.add_argument("--tokens", type=int, default=8, help="limit of interactive answers")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--alone", type=float, default=5.0, help="s of a batch alone, each turn")
    parser.add_argument("--lines", type=int, default=1000, help="of the batch of each turn")
    parser.add_argument("--line-tokens", type=int, default=64, help="length of their answers")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--clock", choices=("real", "engine"), default="real")
    parser.add_argument("--json", type=Path, default=Path("results/batch_beside.json"))
    options = parser.parse_args()
    parts = asyncio.run(measure(options))
    idle, alone, beside = parts["idle"], parts["alone"], parts["beside"]
    times = {"real": (beside.ttft_s, idle.ttft_s)}
    times["engine"] = (beside.engine_ttft_s, idle.engine_ttft_s)
    ratios = {}
    for clock, (loaded, free) in times.items():
        p50, p99 = (percentile(loaded, at) / percentile(free, at) for at in (0.5, 0.99))
        ratios[clock] = p99
        print(f"TTFT beside a batch / idle, {clock} time: p50 {p50:.2f}, p99 {p99:.2f}")
    claims = [
        Claim("p99 TTFT, beside a batch / idle", ratios[options.clock], MOST_RATIO),
        Claim("failed requests", idle.errors + beside.errors, 0),
    ]
    print(
        f"lines/s, beside interactive requests / alone: "
        f"{beside.lines_per_s / alone.lines_per_s:.2f}"
    )
    details = {
        "settings": {name: str(value) for name, value in vars(options).items()},
        "parts": {name: asdict(part) for name, part in parts.items()},
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
