"""What batching by duration is worth to a speech recogniser, on virtual time.

    HEADWAY_DATA=../shared/data python bench/speech.py [--items 10000]

Segments of real calls (Earnings-21, 1 to 30 s) come as a Poisson process and are batched as
`headway serve` does, up to 8 in a batch, in their order and with `length_aware`. A batch ends for
all of its items at once, in one of three ways:

    item by item   the sum of its items, as examples/transcribe.py runs it
    at once        as long as its longest item: a process for each, and a core for each
    padded         its size times its longest item, and a fixed cost: one call of a neural network
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import fmean, quantiles

from rich.box import SIMPLE_HEAD
from rich.table import Table

from headway.core.batching import Batch, Batcher, BatchingSettings, Launch, Limits
from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.lab.report.terminal import table_console

MOST = 8
UNITS_PER_S = 100
"""Lengths are hundredths of a second."""
ITEM_BY_ITEM_S = 0.2
"""CPU time of PocketSphinx for a second of audio, in one pass."""
PADDED_S = 0.01
FIXED_S = 0.05

Duration = Callable[[Sequence[float]], float]
RECOGNISERS: dict[str, Duration] = {
    "item by item": lambda audio_s: 0.001 + ITEM_BY_ITEM_S * sum(audio_s),
    "at once": lambda audio_s: 0.001 + ITEM_BY_ITEM_S * max(audio_s),
    "padded": lambda audio_s: FIXED_S + PADDED_S * len(audio_s) * max(audio_s),
}
"""Seconds of a batch, by the seconds of audio of its items."""


def segments(data: Path) -> list[float]:
    """Durations of speakers' segments, in seconds."""
    with gzip.open(data / "audio/earnings21_segments.csv.gz", "rt") as file:
        durations_s = [float(row["duration_s"]) for row in csv.DictReader(file)]
    return [one_s for one_s in durations_s if 1.0 <= one_s <= 30.0]


def arriving(audio_s: Sequence[float], rate: float, chance: Random) -> list[Request]:
    """One request for each segment, `rate` a second."""
    now_s = 0.0
    requests = []
    for number, one_s in enumerate(audio_s):
        now_s += chance.expovariate(rate)
        length = max(1, round(UNITS_PER_S * one_s))
        requests.append(Request(str(number), now_s, length, SizeEstimate.exactly(1)))
    return requests


def latencies(requests: list[Request], duration: Duration, length_aware: bool) -> list[float]:
    """Seconds from the arrival of each request to the end of its batch."""
    batcher = Batcher(BatchingSettings(Limits(MOST), length_aware=length_aware))
    coming = iter(requests)
    following = next(coming, None)
    running: tuple[float, Batch] | None = None
    found_s: list[float] = []
    now_s = 0.0
    while following is not None or batcher.requests:
        times_s = (
            batcher.next_wakeup_s(now_s),
            following.arrival_s if following is not None else None,
            running[0] if running is not None else None,
        )
        now_s = min(time_s for time_s in times_s if time_s is not None)
        if running is not None and running[0] <= now_s:
            ended_s, batch = running
            running = None
            batcher.finished(batch, now_s, ended_s - batch.launched_s)
            found_s += [now_s - request.arrival_s for request in batch.requests]
        while following is not None and following.arrival_s <= now_s:
            batcher.add(following, now_s)
            following = next(coming, None)
        for decision in batcher.step(now_s):
            assert isinstance(decision, Launch)
            batch = decision.batch
            audio_s = [request.prompt_tokens / UNITS_PER_S for request in batch.requests]
            running = now_s + duration(audio_s), batch
    return found_s


def capacity(audio_s: Sequence[float], duration: Duration) -> float:
    """Items a second in full batches in their order."""
    batches = [audio_s[at : at + MOST] for at in range(0, len(audio_s) - MOST, MOST)]
    return MOST / fmean(map(duration, batches))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=10_000)
    options = parser.parse_args()
    data = os.environ.get("HEADWAY_DATA")
    if data is None:
        raise SystemExit("set HEADWAY_DATA to the folder of the public data")
    audio_s = Random(0).choices(segments(Path(data)), k=options.items)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("a batch takes", "load", "mean in order, s", "by duration, s", "p99", "p99"):
        table.add_column(heading, justify="right" if heading != "a batch takes" else "left")
    for name, duration in RECOGNISERS.items():
        for load in (0.5, 0.7, 0.9):
            rate = load * capacity(audio_s, duration)
            runs = [
                latencies(arriving(audio_s, rate, Random(1)), duration, aware)
                for aware in (False, True)
            ]
            figures = [fmean(run) for run in runs] + [quantiles(run, n=100)[-1] for run in runs]
            table.add_row(name, f"{load}", *(f"{figure:.2f}" for figure in figures))
    table_console().print(table)


if __name__ == "__main__":
    main()
