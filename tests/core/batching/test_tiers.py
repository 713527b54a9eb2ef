"""What tiers, lengths and workers do to whole runs, on virtual time."""

from random import Random

import pytest
from tests.core.batching.drive import item
from tests.core.batching.simulate import batcher, poisson, simulate

from headway.core.batching import Batcher, BatchingSettings, Curve, Limits
from headway.core.request import Request, Tier
from headway.lab.simulation.batched import BatchedOutcome

CURVE = Curve(fixed_s=0.005, item_s=0.001)
SLICE_S = 0.025


def bulk(count: int) -> list[Request]:
    """Batch-tier items that are all there from the beginning."""
    return [item(f"batch{index}", 1, tier=Tier.BATCH) for index in range(count)]


def chat() -> list[Request]:
    """Some interactive items; none in the first half second, which is for learning the curve."""
    items = poisson(10.0, 25, seed=5, tier=Tier.INTERACTIVE)
    return [one for one in items if one.arrival_s > 0.5]


def run(requests: list[Request], slice_s: float | None) -> BatchedOutcome:
    settings = BatchingSettings(limits=Limits(max_size=32), slice_s=slice_s)
    return simulate(Batcher(settings), requests, CURVE)


def p99_s(outcome: BatchedOutcome) -> float:
    """Of the latencies of the interactive items."""
    latencies_s = outcome.latencies_s.items()
    ordered = sorted(s for name, s in latencies_s if name.startswith("interactive"))
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


@pytest.mark.parametrize("slice_s", [SLICE_S, None])
def test_interactive_items_wait_a_slice_and_a_half_at_most_and_bulk_hardly_notices(slice_s) -> None:
    """With no slice stated it is that of 18 items, which is 23 ms."""
    idle = run(chat(), slice_s)
    alone = run(bulk(2000), None)  # no interactive items, no slices
    both = run([*bulk(2000), *chat()], slice_s)
    limit_s = p99_s(idle) + 1.5 * SLICE_S
    assert p99_s(both) <= limit_s
    bulk_ended_s = max(s for name, s in both.latencies_s.items() if name.startswith("batch"))
    assert alone.ended_s / bulk_ended_s >= 0.85


def test_length_aware_has_the_throughput_of_the_lengths_and_not_of_the_padding() -> None:
    curve = Curve(fixed_s=0.002, item_s=0.0002, token_s=0.00002)
    random = Random(11)
    lengths = [round(8 * 32 ** random.random()) for _ in range(1500)]
    ended_s = {}
    for length_aware in (False, True):
        settings = BatchingSettings(limits=Limits(max_size=32), length_aware=length_aware)
        items = [item(f"r{index}", length) for index, length in enumerate(lengths)]
        ended_s[length_aware] = simulate(Batcher(settings), items, curve).ended_s
    assert ended_s[False] > 1.3 * ended_s[True]


def test_two_workers_have_about_twice_the_throughput_of_one() -> None:
    ended_s = {}
    for workers in (1, 2):
        items = [item(f"r{index}") for index in range(1000)]
        ended_s[workers] = simulate(batcher("adaptive", 32, workers), items, CURVE).ended_s
    assert ended_s[1] > 1.8 * ended_s[2]
