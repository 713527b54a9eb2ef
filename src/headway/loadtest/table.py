"""The one table of a measurement."""

from __future__ import annotations

from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from headway.loadtest.metrics import Summary
from headway.loadtest.result import BenchResult

TABLE_WIDTH = 100
"""Columns of text that the table needs."""


def figures(value: float) -> str:
    """About three figures: `0.012`, `1.23`, `12.3`, `123`."""
    digits = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


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


def share(value: float | None) -> str:
    """A share as per cent; a dash for none."""
    return "-" if value is None else f"{value:.0%}"


def table_console() -> Console:
    """The terminal; where output goes elsewhere, wide enough for the table."""
    console = Console()
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    return console


def table_of(result: BenchResult) -> Table:
    """One row a policy or server; it fits TABLE_WIDTH."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True, vertical="bottom")
    for heading, _ in COLUMNS:
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    gains = [result.oracle_gain_captured(row) for row in result.rows]
    failed = any(row.summary.errors for row in result.rows)
    if any(gain is not None for gain in gains):
        table.add_column("oracle\ngain", justify="right", no_wrap=True)
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
    """One line for each row in which requests failed."""
    lines = []
    for row in result.rows:
        errors = [outcome.error for outcome in row.outcomes if outcome.error]
        if errors:
            lines.append(
                f"{row.label}: {len(errors)} of {len(row.outcomes)} failed, first: {errors[0]}"
            )
    return lines
