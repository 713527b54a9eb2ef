"""Interactive requests over a saturating batch load, against the same ones on an idle server.

    python bench/interactive.py [--requests 100] [--rate 1]

Three phases on fresh engines:
  idle    the interactive requests (short, Poisson arrivals) alone;
  batch   batch requests alone, always more of them than slots;
  both    the two together.
What the slots leave for batch is its throughput alone, times the share of slot-seconds that the
interactive requests did not take: 1 - sum(latency - queue time) / (slots x time).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from claims import Claim, publish
from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.metrics import percentile
from headway.lab.loadtest.mix import Mix
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.solo import warm_up
from headway.lab.loadtest.workload import LoadRequest, Workload
from timeline import Timeline

SETTLE_S = 5.0
"""From the first batch request until throughput is counted."""
QUEUED_PER_SLOT = 2
"""Batch requests under way for each slot: one runs and one waits."""


@dataclass(frozen=True)
class Phase:
    """What one phase measured."""

    ttft_p50_s: float = 0.0
    ttft_p99_s: float = 0.0
    batch_tokens_per_s: float = 0.0
    interactive_slot_s: float = 0.0
    window_s: float = 0.0
    preemptions: int = 0
    errors: int = 0


def batch_requests(tokens: int) -> list[LoadRequest]:
    """Batch work of a known length each."""
    return [
        LoadRequest(0.0, prompt.messages, tokens, tier="batch", ignore_eos=True)
        for prompt in load_prompts()
    ]


@contextlib.asynccontextmanager
async def saturation(
    timeline: Timeline, requests: list[LoadRequest], width: int
) -> AsyncIterator[None]:
    """Keep `width` batch requests under way, whose ends are awaited afterwards."""
    supply, going = cycle(requests), True

    async def one_after_another() -> None:
        while going:
            if not (await timeline.send(next(supply))).ok:
                await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(one_after_another())
        await asyncio.sleep(SETTLE_S)
        yield
        going = False


async def phase(options: argparse.Namespace, load: Workload | None, *, batch: bool) -> Phase:
    """Run interactive `load` (None: wait as long), with the batch load underneath or without."""
    work = batch_requests(options.batch_tokens)
    async with (
        HeadwayServer({"slots": options.slots}) as server,
        LoadClient(server.url, "default") as client,
    ):
        await warm_up(client, Workload(tuple(work)))
        timeline = Timeline(client)
        under = saturation(timeline, work, options.slots * (1 + QUEUED_PER_SLOT))
        outcomes: list[RequestResult] = []
        async with under if batch else contextlib.nullcontext():
            begin_s = timeline.now_s
            if load is None:
                await asyncio.sleep(options.requests / options.rate)
            else:
                outcomes = await client.run(load)
            end_s = timeline.now_s
    good = [outcome for outcome in outcomes if outcome.ok]
    ttfts = [outcome.ttft_s or 0.0 for outcome in good]
    return Phase(
        ttft_p50_s=percentile(ttfts, 0.5),
        ttft_p99_s=percentile(ttfts, 0.99),
        batch_tokens_per_s=timeline.tokens_between(begin_s, end_s) / (end_s - begin_s),
        interactive_slot_s=sum(o.latency_s - (o.queue_s or 0.0) for o in good),
        window_s=end_s - begin_s,
        preemptions=sum(o.preemptions for o in timeline.outcomes),
        errors=len(outcomes) - len(good) + sum(not o.ok for o in timeline.outcomes),
    )


async def measure(options: argparse.Namespace) -> tuple[Phase, Phase, Phase]:
    load = Workload.build(
        load_prompts(),
        count=options.requests,
        arrivals=f"poisson:{options.rate}",
        max_tokens=options.tokens,
        tiers=Mix.parse("interactive"),
    )
    phases = []
    for name, interactive, batch in (
        ("idle", load, False),
        ("batch", None, True),
        ("both", load, True),
    ):
        print(f"{name} …", end=" ", flush=True)
        measured = await phase(options, interactive, batch=batch)
        phases.append(measured)
        print(
            f"TTFT p50 {measured.ttft_p50_s * 1000:.0f} ms, p99 {measured.ttft_p99_s * 1000:.0f} "
            f"ms; batch {measured.batch_tokens_per_s:.0f} tokens/s, "
            f"{measured.preemptions} preemptions"
        )
    return phases[0], phases[1], phases[2]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100, help="interactive ones")
    parser.add_argument("--rate", type=float, default=1.0, help="interactive requests per second")
    parser.add_argument("--tokens", type=int, default=24, help="limit of interactive answers")
    parser.add_argument("--batch-tokens", type=int, default=200, help="length of batch answers")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("results/interactive.json"))
    options = parser.parse_args()
    idle, alone, both = asyncio.run(measure(options))
    left = 1.0 - both.interactive_slot_s / (options.slots * both.window_s)
    claims = [
        Claim("p99 TTFT, over batch / idle", both.ttft_p99_s / idle.ttft_p99_s, 3.0),
        Claim(
            "batch throughput / what the slots leave",
            both.batch_tokens_per_s / (alone.batch_tokens_per_s * left),
            0.9,
            at_most=False,
        ),
        Claim("failed requests", idle.errors + alone.errors + both.errors, 0),
    ]
    details = {
        "settings": {name: str(value) for name, value in vars(options).items()},
        "phases": {"idle": asdict(idle), "batch": asdict(alone), "both": asdict(both)},
        "share_left": left,
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
