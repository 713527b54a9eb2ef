"""Rows of the log as CSV."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from io import StringIO

import msgspec

from headway.store.history.filters import Filters
from headway.store.history.pages import COLUMNS, Cursor, Row, page

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What begins with them, spreadsheets compute."""


def header() -> str:
    """The first line."""
    return lines_of([[name if name != "arrival_unix_s" else "arrival" for name in COLUMNS]])


def csv_page(
    database: sqlite3.Connection, filters: Filters, limit: int, after: Cursor | None
) -> tuple[bytes, Cursor | None]:
    """The next lines, and where those behind them begin; None: there are no more."""
    found = page(database, filters, limit, after)
    return csv_rows(found.rows).encode(errors="replace"), found.next


def csv_rows(rows: Iterable[Row]) -> str:
    """The lines of these rows. Texts that spreadsheets would compute begin with an apostrophe."""
    return lines_of(map(_cells, rows))


def lines_of(rows: Iterable[Iterable[object]]) -> str:
    """CSV, as RFC 4180 has it."""
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cells(row: Row) -> Iterable[object]:
    cells = {name: _cell(value) for name, value in msgspec.structs.asdict(row).items()}
    return (cells | {"arrival_unix_s": _arrival(row.arrival_unix_s)}).values()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return value


def _arrival(unix_s: float) -> str:
    try:
        return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(unix_s)
