"""What `@headway.batched` costs: its own time for each item, and what it makes of a fake model.

    python bench/batched.py [--items 50000]

64 callers, each of which calls again as soon as it has its answer. With a model that takes no time
all that is spent is the batching itself; with one of 5 ms a batch of at
most 32, 6,400 items a second are the most there can be.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import headway
from claims import Claim, publish
from headway.batching.function import BatchedFunction

CALLERS = 64
MOST = 32
MODEL_S = 0.005


async def closed_loop(function: BatchedFunction[int, int], items: int) -> float:
    """Seconds until all callers together have called so often."""

    async def caller() -> None:
        for number in range(items // CALLERS):
            await function(number)

    start_s = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return time.perf_counter() - start_s


async def measure(options: argparse.Namespace) -> int:
    claims, details = [], {}
    for policy in ("constant", "adaptive", "optimal"):

        @headway.batched(max_batch_size=MOST, policy=policy)
        async def nothing(numbers: list[int]) -> list[int]:
            return numbers

        @headway.batched(max_batch_size=MOST, policy=policy)
        async def model(numbers: list[int]) -> list[int]:
            await asyncio.sleep(MODEL_S)
            return numbers

        await closed_loop(nothing, 10 * CALLERS)
        busy_s = time.process_time()
        await closed_loop(nothing, options.items)
        item_us = 1e6 * (time.process_time() - busy_s) / options.items
        rate = options.items / 5 / await closed_loop(model, options.items // 5)
        claims += [
            Claim(f"{policy}: time of the batching itself, us an item", item_us, 30.0),
            Claim(f"{policy}: items/s with 5 ms a batch of 32", rate, 4500.0, at_most=False),
        ]
        details[policy] = {"item_us": item_us, "items_per_s": rate}
    return publish(claims, details, options.json)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--json", type=Path, default=Path("results/batched.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
