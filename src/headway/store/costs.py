"""What requests cost, summed up from the request log.

Whole days come from sums that were made ahead (`cost_days.py`), so that a question does not take
longer with every request; the rest of the first and the last day, and what is not summed up yet,
comes from the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from math import ceil, isfinite
from pathlib import Path
from sqlite3 import Connection
from typing import Any, NamedTuple

from headway.store.cost_days import (
    BY_RUN,
    COST,
    COUNTED,
    DAY,
    DAY_S,
    SUMS,
    UNPRICED,
    CostTable,
    summed_to,
    table_of,
)
from headway.store.database import open_to_read

GROUPS = {
    "day": f"date(day * {DAY_S}, 'unixepoch')",
    "month": f"strftime('%Y-%m', day * {DAY_S}, 'unixepoch')",
    "model": "model",
    "backend": "backend",
    "tenant": "tenant",
    "key": "key",
    "tier": "tier",
    "run": "program",
    "batch": "batch",
}
"""What costs can be summed up by, and how the log has it. Days and months are in UTC."""

ALL_GROUPS = 2**31
TIMES = ("day", "month")
FOREVER_DAY = 10**9


class Costs(NamedTuple):
    """Requests that are alike in what they are summed up by."""

    group: tuple[str, ...]
    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float | None
    """Of those that have a price; None: none of them has."""
    unpriced: int
    """Requests whose cost is not known; it is not in `cost`."""

    def sums(self) -> dict[str, Any]:
        """All but the group, by name."""
        sums = self._asdict()
        del sums["group"]
        return sums


class Unpriced(NamedTuple):
    """A model without a price."""

    model: str
    backend: str
    requests: int
    tokens: int


class Chosen(NamedTuple):
    """Which requests count, of those that were not refused."""

    since_s: float = 0.0
    """Seconds since 1970."""
    until_s: float = float("inf")
    tenant: str | None = None
    """Only those of this tenant; None: all."""
    key: str | None = None
    """Beside `tenant`: those that came with this key, too."""
    run: str | None = None
    """Only those of this run; None: all."""

    def where(self) -> tuple[str, list[object]]:
        """Whose they are, as a condition, and its values."""
        condition, values = "TRUE", list[object]()
        if self.run is not None:
            condition, values = f"{condition} AND program = ?", [*values, self.run]
        if self.tenant is None:
            return condition, values
        if self.key is None:
            return f"{condition} AND tenant = ?", [*values, self.tenant]
        return f"{condition} AND (tenant = ? OR key = ?)", [*values, self.tenant, self.key]


class Summary(NamedTuple):
    """What requests cost."""

    since_s: float
    """From when on: earlier than was asked for where the log has only the sum of that day, later
    where it does not go back so far."""
    total: Costs
    groups: list[Costs]
    """The dearest first; by days or months, those in order."""
    left_out: int
    """Groups beyond the limit."""
    unpriced: list[Unpriced]
    """What has no price, that with the most requests first."""


ALL = Chosen()


def summed(
    database: Connection, by: Sequence[str], chosen: Chosen = ALL, limit: int = ALL_GROUPS
) -> Summary:
    """Sums of the log.

    Args:
        database: the log; a gateway may be writing to it.
        by: names in GROUPS; empty: one sum of all.
        chosen: which requests count.
        limit: most groups.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    database.execute("BEGIN")  # rows and sums of one moment
    try:
        chosen = _known(database, by, chosen)
        (total,), _ = _groups(database, (), chosen, 1)
        groups, left_out = _groups(database, by, chosen, limit)
        return Summary(chosen.since_s, total, groups, left_out, _unpriced(database, chosen))
    finally:
        database.rollback()


def _groups(
    database: Connection, by: Sequence[str], chosen: Chosen, limit: int
) -> tuple[list[Costs], int]:
    """The first groups, and how many there are beyond `limit`."""
    groups = [GROUPS[name] for name in by]
    timed = [place for place, name in enumerate(by, 1) if name in TIMES]
    dearest = (f"{len(by) + 5} DESC", f"{len(by) + 1} DESC")
    order = ", ".join([*map(str, timed), *dearest, *map(str, range(1, len(by) + 1))])
    grouped = f"GROUP BY {', '.join(groups)}" if groups else ""
    sums = (
        "coalesce(sum(requests), 0), coalesce(sum(prompt_tokens), 0), "
        "coalesce(sum(cached_tokens), 0), coalesce(sum(output_tokens), 0), sum(cost), "
        "coalesce(sum(unpriced), 0), count(*) OVER ()"
    )
    source, values = _source(database, _columns(by, chosen), chosen)
    query = f"SELECT {', '.join([*groups, sums])} FROM {source} {grouped} ORDER BY {order} LIMIT ?"
    rows = database.execute(query, [*values, limit]).fetchall()
    found = [Costs(tuple(map(str, row[: len(by)])), *row[len(by) : -1]) for row in rows]
    return found, rows[0][-1] - len(rows) if rows else 0


def _unpriced(database: Connection, chosen: Chosen) -> list[Unpriced]:
    source, values = _source(database, _columns(("model", "backend"), chosen), chosen)
    query = f"""
        SELECT model, backend, sum(unpriced), sum(unpriced_tokens) FROM {source}
        GROUP BY 1, 2 HAVING sum(unpriced) > 0 ORDER BY 3 DESC
    """
    return [Unpriced(*row) for row in database.execute(query, values)]


def _columns(by: Sequence[str], chosen: Chosen) -> list[str]:
    """The columns that a question is about, beside the time."""
    columns = {GROUPS[name] for name in by if name not in TIMES}
    if chosen.run is not None:
        columns.add("program")
    if chosen.tenant is not None:
        columns.add("tenant")
    if chosen.key is not None:
        columns.add("key")
    return sorted(columns)


def _known(database: Connection, by: Sequence[str], chosen: Chosen) -> Chosen:
    """`chosen`, as far back as the log can say it: by whole days where their rows are deleted."""
    (oldest_s,) = database.execute("SELECT min(arrival_unix_s) FROM requests").fetchone()
    since_s, until_s = chosen.since_s, chosen.until_s
    if oldest_s is None or since_s >= oldest_s:
        return chosen
    since_s = since_s // DAY_S * DAY_S
    if until_s < oldest_s:
        until_s = ceil(until_s / DAY_S) * DAY_S
    if table_of(_columns(by, chosen)) in (None, BY_RUN):  # sums of runs go when their rows do
        (day,) = database.execute(f"SELECT min(day) FROM {BY_RUN.name}").fetchone()
        since_s = max(since_s, oldest_s if day is None else min(DAY_S * day, oldest_s))
    return chosen._replace(since_s=since_s, until_s=until_s)


def _source(
    database: Connection, columns: Sequence[str], chosen: Chosen
) -> tuple[str, list[object]]:
    """A table with `columns`, the day and SUMS of what is chosen, and the values in it."""
    table, (whose, values) = table_of(columns), chosen.where()
    since_s, until_s = chosen.since_s, chosen.until_s
    if table is None:
        return f"({_rows(columns, whose, 'TRUE')})", [since_s, until_s, *values]
    first = ceil(since_s / DAY_S)
    last = int(until_s // DAY_S) if isfinite(until_s) else FOREVER_DAY
    if first >= last:
        return f"({_rows(columns, whose, 'TRUE')})", [since_s, until_s, *values]
    summed = summed_to(database)
    parts = [
        _days(table, columns, whose),
        _rows(columns, whose, "number <= ?"),
        _rows(columns, whose, "number <= ?"),
        # With a plus SQLite seeks these by their numbers: there are few.
        _rows(columns, whose, "number > ?", arrival="+arrival_unix_s"),
    ]
    return f"({' UNION ALL '.join(parts)})", [
        *(first, last, *values),
        *(since_s, first * DAY_S, *values, summed),
        *(last * DAY_S, until_s, *values, summed),
        *(since_s, until_s, *values, summed),
    ]


def _days(table: CostTable, columns: Sequence[str], whose: str) -> str:
    names = ", ".join(["day", *columns, *SUMS])
    return f"SELECT {names} FROM {table.name} WHERE day >= ? AND day < ? AND {whose}"


def _rows(columns: Sequence[str], whose: str, which: str, arrival: str = "arrival_unix_s") -> str:
    names = ", ".join([f"{DAY} AS day", *columns])
    sums = ", ".join(f"{value} AS {name}" for name, value in SUMS.items())
    return (
        f"SELECT {names}, {sums} FROM requests WHERE {arrival} >= ? AND {arrival} < ? "
        f"AND {COUNTED} AND {whose} AND {which}"
    )


class BatchCost(NamedTuple):
    """What the lines of a batch cost, up to a row of the log."""

    number: int = 0
    """Of the last row that is summed up."""
    cost: float | None = None
    """Of the lines that have a price; None: none of them has."""
    unpriced: int = 0
    answered: int = 0
    """Lines whose answer is in the log."""

    def later(self, database: Connection, batch: str) -> BatchCost:
        """The same with the rows that came since. Raises sqlite3.Error."""
        query = f"""
            SELECT max(number), sum({COST}), coalesce(sum({UNPRICED} AND {COUNTED}), 0),
                sum(outcome = 'finished')
            FROM requests WHERE batch != '' AND batch = ? AND number > ?
        """  # the index has no rows without a batch
        ((number, cost, unpriced, answered),) = database.execute(query, (batch, self.number))
        if number is None:
            return self
        if cost is not None:
            cost += self.cost or 0.0
        return BatchCost(
            number,
            self.cost if cost is None else cost,
            self.unpriced + unpriced,
            self.answered + answered,
        )


def later(path: Path, known: Mapping[str, BatchCost]) -> dict[str, BatchCost]:
    """Costs of batches, by their ids, with the rows that came since. Raises sqlite3.Error."""
    with closing(open_to_read(path)) as database:
        return {batch: cost.later(database, batch) for batch, cost in known.items()}


def groups_of(text: str) -> list[str]:
    """Names in GROUPS with commas between. Raises ValueError for others."""
    names = list(dict.fromkeys(name for one in text.split(",") if (name := one.strip())))
    for name in names:
        if name not in GROUPS:
            raise ValueError(f"{name[:40]!r} is not one of {', '.join(GROUPS)}")
    return names
