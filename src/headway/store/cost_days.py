"""Costs by day, summed up ahead of every question.

A fold over the rows of the log in the order of their numbers, as the rollups of History are: how
far it has come is written in the same transaction, so a crash and an older log need nothing of
their own. Days are those of UTC.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from headway.store.database import note, noted

DAY_S = 86400
AT_ONCE = 4000
"""Rows in one transaction."""
SUMMED_TO = "costs_summed_to"
"""What the log notes of how far they have come."""


def _sane(column: str, otherwise: str) -> str:
    """A number of the log. What is none, or far too large, is damage: no sum may overflow."""
    return f"iif({column} BETWEEN 0 AND 1e12, {column}, {otherwise})"


PROMPT, CACHED, OUTPUT = (_sane(f"{name}_tokens", "0") for name in ("prompt", "cached", "output"))
COST = _sane("cost", "NULL")
TOKENS = f"coalesce({_sane('charged_tokens', 'NULL')}, {PROMPT} + {OUTPUT})"
UNPRICED = f"({COST} IS NULL AND {TOKENS} > 0)"
"""Something was used, and has no price. Rows from before costs were written are among these."""
COUNTED = "outcome != 'rejected' AND typeof(arrival_unix_s) = 'real'"
"""Whether a row counts at all."""
DAY = f"CAST(arrival_unix_s / {DAY_S} AS INTEGER)"
SUMS = {
    "requests": "1",
    "prompt_tokens": PROMPT,
    "cached_tokens": CACHED,
    "output_tokens": OUTPUT,
    "cost": COST,
    "unpriced": UNPRICED,
    "unpriced_tokens": f"iif({UNPRICED}, {TOKENS}, 0)",
}
"""What is summed up, and what a row of the log adds. A sum of costs is NULL if none is known."""


class CostTable(NamedTuple):
    """Sums of the requests of a day that are alike in some columns."""

    name: str
    columns: tuple[str, ...]


BY_RUN = CostTable("cost_days_of_runs", ("tenant", "key", "program", "batch"))
TABLES = (CostTable("cost_days", ("tenant", "key", "model", "backend", "tier")), BY_RUN)
"""Two, as there may be as many runs as requests: whoever asks for no run does not pay for them."""

SCHEMA = "".join(
    f"""
CREATE TABLE IF NOT EXISTS {table.name} (
    day INTEGER NOT NULL,
    {"".join(f"{name} TEXT NOT NULL, " for name in table.columns)}
    requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL,
    unpriced INTEGER NOT NULL,
    unpriced_tokens INTEGER NOT NULL,
    PRIMARY KEY (day, {", ".join(table.columns)})
) WITHOUT ROWID;
"""
    for table in TABLES
)
"""Days count from 1970."""

_NEXT = """
SELECT max(number) FROM (SELECT number FROM requests WHERE number > ? ORDER BY number LIMIT ?)
"""


def table_of(columns: Collection[str]) -> CostTable | None:
    """The smallest table that has all of these columns; None: only the rows of the log do."""
    return next((table for table in TABLES if set(columns) <= set(table.columns)), None)


def summed_to(database: sqlite3.Connection) -> int:
    """The number of the last row that the sums have; 0: none."""
    return int(noted(database, SUMMED_TO) or 0)


def advance(database: sqlite3.Connection, most: int = AT_ONCE) -> bool:
    """Sum up the next rows, in one transaction; returns whether there may be more.

    Raises:
        sqlite3.Error: nothing was changed.
    """
    with database:
        database.execute("BEGIN IMMEDIATE")  # no other process sums up the same rows
        after = summed_to(database)
        (newest,) = database.execute(_NEXT, (after, most)).fetchone()
        if newest is None:
            return False
        for table in TABLES:
            database.execute(_added(table), (after, newest))
        note(database, SUMMED_TO, newest)
    return bool(newest - after >= most)


def _added(table: CostTable) -> str:
    names = ", ".join(table.columns)
    sums = ", ".join(f"sum({value})" for value in SUMS.values())
    more = ", ".join(
        f"{name} = {name} + excluded.{name}" for name in SUMS if name != "cost"
    )  # of costs that are not known, NULL + 1 would be NULL
    return f"""
        INSERT INTO {table.name} SELECT {DAY}, {names}, {sums} FROM requests
        WHERE number > ? AND number <= ? AND {COUNTED} GROUP BY {DAY}, {names}
        ON CONFLICT DO UPDATE SET {more},
            cost = coalesce(cost + excluded.cost, cost, excluded.cost)
    """
