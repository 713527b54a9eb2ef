"""Tables of results on the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

TABLE_WIDTH = 100
"""Columns of text that it needs."""
NAME_WIDTH = 24
"""A longer name in the first column is folded before a column of numbers is left out."""


def table_console() -> Console:
    """The terminal; where output goes elsewhere, wide enough for the table."""
    console = Console()
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    return console


@dataclass(frozen=True)
class Results:
    """One row a policy or server, named by its first cell."""

    headings: Sequence[str]
    """Spaces in them break lines, and a hyphen before a space divides a word."""
    rows: Sequence[Sequence[str]]
    least_first: Sequence[str] = ()
    """Headings of columns that a narrow terminal may do without, the least important first."""


def show(console: Console, results: Results) -> None:
    """Print `results` whole.

    A terminal that is too narrow gets folded names, then fewer columns and a sentence that names
    those left out; if nothing more may be left out, it breaks lines. No number is ever cut.
    """
    left_out: list[str] = []
    name_width = None
    if console.is_terminal:
        if _needed(console, results) > console.width:
            name_width = NAME_WIDTH
        for heading in results.least_first:
            if _needed(console, results, left_out, name_width) <= console.width:
                break
            if heading in results.headings:
                left_out.append(heading)
        if name_width is not None:
            room = console.width - _needed(console, results, left_out, name_width)
            name_width += max(0, room)
    table = _table(results, left_out, name_width)
    # Else its numbers would be cut.
    console.width = max(console.width, _needed(console, results, left_out, name_width))
    console.print(table)
    if left_out:
        names = ", ".join(heading.replace("- ", "") for heading in left_out)
        console.print(
            f"Left out, as this terminal is narrow: {names}. `| cat` after the command shows all.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _needed(
    console: Console,
    results: Results,
    left_out: Collection[str] = (),
    name_width: int | None = None,
) -> int:
    """Columns of text that the table takes."""
    table = _table(results, left_out, name_width)
    return console.measure(table, options=console.options.update(width=1000)).maximum


def _table(results: Results, left_out: Collection[str], name_width: int | None) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(
        results.headings[0],
        no_wrap=name_width is None,
        overflow="fold",
        max_width=name_width,
        vertical="bottom",
    )
    shown = [n for n, heading in enumerate(results.headings) if n and heading not in left_out]
    for number in shown:
        heading = results.headings[number]
        style = "red" if heading == "errors" else None
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True, style=style)
    for row in results.rows:
        table.add_row(row[0], *(row[number] for number in shown))
    return table
