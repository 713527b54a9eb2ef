"""Tables of results on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

TABLE_WIDTH = 100
"""Columns of text that it needs."""


def table_console() -> Console:
    """The terminal; where output goes elsewhere, wide enough for the table."""
    console = Console()
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    return console


def show(console: Console, table: Table) -> None:
    """Print `table` whole: a terminal that is narrower breaks its lines."""
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    console.width = max(console.width, needed)
    console.print(table)


def results_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """One row a policy or server, named by its first cell. Spaces in headings break lines."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(headings[0], no_wrap=True, vertical="bottom")
    for heading in headings[1:]:
        style = "red" if heading == "errors" else None
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True, style=style)
    for row in rows:
        table.add_row(*row)
    return table
