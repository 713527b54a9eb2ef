"""The one table of a measurement."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from headway.loadtest.metrics import Summary
from headway.loadtest.result import BenchResult


def seconds(value: float) -> str:
    """A time with three figures: `0.012 s`, `1.23 s`, `123 s`."""
    digits = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} s"


def milliseconds(value_s: float) -> str:
    """A short time, given in seconds."""
    return f"{value_s * 1000:.0f} ms"


COLUMNS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("mean", lambda s: seconds(s.latency_mean_s)),
    ("p50", lambda s: seconds(s.latency_p50_s)),
    ("p99", lambda s: seconds(s.latency_p99_s)),
    ("worst wait", lambda s: seconds(s.wait_worst_s)),
    ("slowdown", lambda s: f"{s.slowdown_mean:.1f}"),
    ("s/token", lambda s: f"{s.s_per_token_mean:.2f}"),
    ("TTFT", lambda s: seconds(s.ttft_mean_s)),
    ("TPOT", lambda s: milliseconds(s.tpot_mean_s)),
    ("tokens/s", lambda s: f"{s.throughput_tokens_per_s:.0f}"),
    ("preempted", lambda s: f"{s.preemptions:.0f}"),
)
"""Heading and text of each number; mean, p50 and p99 are of end-to-end latency."""


def share(value: float | None) -> str:
    """A share as per cent; a dash for none."""
    return "-" if value is None else f"{value:.0%}"


def table_of(result: BenchResult) -> Table:
    """One row a policy or server; best with at least 100 columns."""
    table = Table(title_justify="left", header_style="bold", pad_edge=False)
    table.add_column("policy" if len(result.rows) > 1 else "server", no_wrap=True)
    for heading, _ in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    gains = [result.oracle_gain_captured(row) for row in result.rows]
    failed = any(row.summary.errors for row in result.rows)
    if any(gain is not None for gain in gains):
        table.add_column("oracle gain", justify="right", no_wrap=True)
    if failed:
        table.add_column("errors", justify="right", style="red", no_wrap=True)
    for row, gain in zip(result.rows, gains, strict=True):
        cells = [row.label, *(text(row.summary) for _, text in COLUMNS)]
        if any(other is not None for other in gains):
            cells.append(share(gain))
        if failed:
            cells.append(f"{row.summary.errors:.0f}")
        table.add_row(*cells)
    return table


def errors_of(result: BenchResult) -> list[str]:
    """The first error of each row that has any, one line each."""
    lines = []
    for row in result.rows:
        errors = [outcome.error for outcome in row.outcomes if outcome.error]
        if errors:
            lines.append(f"{row.label}: {len(errors)} requests failed, the first with: {errors[0]}")
    return lines
