"""The table of a load test."""

from __future__ import annotations

from collections.abc import Callable

from headway.lab.loadtest.metrics import Summary
from headway.lab.loadtest.result import BenchResult
from headway.lab.report.figures import figures, share
from headway.lab.report.terminal import Results

COLUMNS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("mean s", lambda s: figures(s.latency_mean_s)),
    ("p50 s", lambda s: figures(s.latency_p50_s)),
    ("p99 s", lambda s: figures(s.latency_p99_s)),
    ("worst wait s", lambda s: figures(s.wait_worst_s)),
    ("slow- down", lambda s: f"{s.slowdown_mean:.1f}"),
    ("s per token", lambda s: figures(s.s_per_token_mean)),
    ("TTFT s", lambda s: figures(s.ttft_mean_s)),
    ("TPOT ms", lambda s: f"{s.tpot_mean_s * 1000:.0f}"),
    ("tokens /s", lambda s: f"{s.throughput_tokens_per_s:.0f}"),
    ("pre- empted", lambda s: f"{s.preemptions:.0f}"),
)
"""Heading and text of each number; mean, p50 and p99 are of end-to-end latency."""


OF_LATENCY = "end-to-end latency, from the planned arrival to the last token"
MEANINGS = {
    **dict.fromkeys(("mean s", "p50 s", "p99 s"), OF_LATENCY),
    "worst wait s": "the longest wait for a slot, as the server reports it; else TTFT beyond that "
    "of an idle server",
    "slow- down": "latency over the time of the same request alone on the idle server, mean",
    "s per token": "latency over output tokens, mean",
    "TTFT s": "time to first token, mean",
    "TPOT ms": "time per output token after the first, pauses included, mean",
    "tokens /s": "output tokens a second, from the first request to the last answer",
    "pre- empted": "how often a running request was stopped for another",
    "oracle gain": "share of what knowing every length would gain over fcfs in mean latency",
    "errors": "requests that failed",
}
"""What headings say, for those who see the table alone."""
LEAST_FIRST = (
    *("pre- empted", "s per token", "TPOT ms", "slow- down", "p50 s", "TTFT s", "tokens /s"),
    "worst wait s",
)
"""Columns that a narrow terminal does without, the least important first."""


def cells_of(result: BenchResult) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, one for each policy or server."""
    gains = [result.oracle_gain_captured(row) for row in result.rows]
    with_gain = any(gain is not None for gain in gains)
    headings = ["policy", *(heading for heading, _ in COLUMNS), *["oracle gain"] * with_gain]
    rows = [
        [row.label, *(text(row.summary) for _, text in COLUMNS), *[share(gain)] * with_gain]
        for row, gain in zip(result.rows, gains, strict=True)
    ]
    return headings, rows


def table_of(result: BenchResult) -> Results:
    """For the terminal, with a column of errors if there were any; it fits TABLE_WIDTH."""
    headings, rows = cells_of(result)
    if any(row.summary.errors for row in result.rows):
        headings = [*headings, "errors"]
        for cells, row in zip(rows, result.rows, strict=True):
            cells.append(f"{row.summary.errors:.0f}")
    return Results(headings, rows, LEAST_FIRST)


def errors_of(result: BenchResult) -> list[str]:
    """One line for each row in which requests failed."""
    lines = []
    for row in result.rows:
        errors = [outcome.error for outcome in row.outcomes if outcome.error]
        if errors:
            lines.append(
                f"{row.label}: {len(errors)} of {len(row.outcomes)} failed, first: {errors[0]}"
            )
    return lines
