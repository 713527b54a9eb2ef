"""Whether the machine was equally fast for every row of a comparison."""

from __future__ import annotations

from headway.lab.loadtest.result import BenchResult
from headway.lab.report.figures import figures

UNEVEN = 1.3
"""Ratio of throughputs, on the same requests, that no policy explains: preemption costs less."""


def unevenness(result: BenchResult) -> str:
    """The sentence that says so; empty where it was equally fast, or there is one row."""
    speeds = {row.label: row.summary.throughput_tokens_per_s for row in result.rows}
    slow, fast = min(speeds, key=speeds.__getitem__), max(speeds, key=speeds.__getitem__)
    if speeds[fast] <= UNEVEN * speeds[slow]:
        return ""
    return (
        f"The machine changed its speed: {figures(speeds[fast])} tokens/s under {fast}, "
        f"{figures(speeds[slow])} under {slow}, on the same requests. Latencies of different rows "
        "cannot be compared; run it again with --repeats 3 while nothing else runs."
    )
