"""Measures batches of every size and length on a model's real workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import product
from math import exp, log
from random import Random

import numpy as np

from headway.batching.driver import WorkerLost
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.work import Work
from headway.models.served import Backing
from headway.models.signature import ModelFailure

LENGTHS = 5
"""Measured, from the shortest to the longest of the traffic."""


async def measured(
    backing: Backing,
    work: Work,
    sizes: Sequence[int],
    lengths: Sequence[int],
    *,
    at_once: int = 1,
    repeats: int = 5,
    progress: Callable[[], None] = lambda: None,
) -> MeasuredDurations:
    """How long batches of each of `sizes` and `lengths` take, from message to answer.

    Every batch is run once before, since a model is slower on a new shape. The repeats are
    shuffled, so that a busy minute of the machine affects no cell alone.

    Args:
        backing: the loaded model.
        work: makes the batches.
        sizes: ascending.
        lengths: ascending.
        at_once: concurrent batches, one per instance.
        repeats: of each.
        progress: called after every round.

    Raises:
        ModelFailure: a worker died of a batch, or the model raised an exception.
        BadItem: the model does not take the items.
    """
    cells = list(product(range(len(sizes)), range(len(lengths))))
    took_s = np.empty((len(sizes), len(lengths), repeats * at_once))
    random = Random(0)
    for repeat in range(-1, repeats):
        random.shuffle(cells)
        for row, column in cells:
            size, length = sizes[row], lengths[column]
            batch = work.batch(size, length)
            try:
                found = await asyncio.gather(*(_timed(backing, batch) for _ in range(at_once)))
            except WorkerLost as error:
                raise ModelFailure(
                    f"{error}, in a batch of {size} items of length {length}; try smaller --sizes"
                ) from None
            if repeat >= 0:
                took_s[row, column, repeat * at_once : (repeat + 1) * at_once] = found
            progress()
    return MeasuredDurations(tuple(sizes), tuple(lengths), took_s)


def sizes_to_measure(largest: int) -> list[int]:
    """Powers of two up to `largest`, and itself."""
    powers = [2**power for power in range(largest.bit_length())]
    return sorted({*powers, largest})


def lengths_to_measure(lengths: Sequence[int]) -> list[int]:
    """A few of `lengths`, from the shortest to the longest in about equal proportions."""
    there = sorted(set(lengths))
    step = log(there[-1] / there[0]) / (LENGTHS - 1)
    wanted = [there[0] * exp(step * number) for number in range(LENGTHS)]
    return sorted({min(there, key=lambda one: abs(one - length)) for length in wanted})


async def _timed(backing: Backing, batch: list[object]) -> float:
    began_s = time.perf_counter()
    await backing.run(batch)
    return time.perf_counter() - began_s
