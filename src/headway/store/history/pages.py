"""Pages of requests, the newest first, by a cursor: any page costs what the first costs.

No index has every mixture of filters. What requests of a tenant, model, tier and outcome, and how
slow, there are in which hour and minute is known from the rollups; only those times are read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from headway.store.history.filters import Filters
from headway.store.history.rollups import HOUR_S, MINUTE_S, folded_to

MOST_NEW_ROWS = 20_000
"""Rows that the rollups do not have yet: if there are more, they are no help."""


class Cursor(NamedTuple):
    """The last request of a page: the next page goes on behind it."""

    arrival_unix_s: float
    number: int

    def __str__(self) -> str:
        return f"{self.arrival_unix_s!r}_{self.number}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that was written as `text`. Raises ValueError."""
        arrival, _, number = text.partition("_")
        cursor = cls(float(arrival), int(number))
        if not abs(cursor.arrival_unix_s) < 1e15 or not 0 <= cursor.number < 2**63:
            raise ValueError(f"{text!r} is no cursor")
        return cursor


class Row(msgspec.Struct, kw_only=True):
    """A request in a page."""

    id: str
    arrival_unix_s: float
    tier: str
    tenant: str
    program: str
    model: str
    backend: str
    prompt_tokens: int | None
    output_tokens: int | None
    predicted_tokens: float | None
    queue_ms: float | None
    ttft_ms: float | None
    total_ms: float | None
    preemptions: int
    outcome: str
    status: int
    reason: str
    key: str
    cost: float | None


COLUMNS = Row.__struct_fields__


class Page(NamedTuple):
    """Some requests, and where the next ones begin."""

    rows: list[Row]
    next: Cursor | None
    """None: there are no more."""
    damaged: int
    """Rows that were left out, because they make no sense."""


def page(
    database: sqlite3.Connection, filters: Filters, limit: int, after: Cursor | None = None
) -> Page:
    """The next `limit` requests behind `after`; None: the newest ones."""
    found = list(scan(database, filters, limit + 1, after))
    behind = Cursor(found[limit - 1][2], found[limit - 1][0]) if len(found) > limit else None
    return page_of(found[:limit], behind)


def page_of(found: list[tuple[Any, ...]], behind: Cursor | None) -> Page:
    """The rows of `scan` as a page."""
    rows = []
    for _, *values in found:
        with suppress(msgspec.ValidationError):
            rows.append(msgspec.convert(dict(zip(COLUMNS, values, strict=True)), Row))
    return Page(rows, behind, len(found) - len(rows))


def scan(
    database: sqlite3.Connection, filters: Filters, limit: int, after: Cursor | None = None
) -> Iterator[tuple[Any, ...]]:
    """Number and COLUMNS of at most `limit` requests, the newest first; -1: of all."""
    conditions, values = filters.of_rows()
    if after is not None:
        conditions.append("(arrival_unix_s, number) < (?, ?)")
        values += after
    conditions += ["arrival_unix_s >= ?", "arrival_unix_s < ?"]
    query = (
        f"SELECT number, {', '.join(COLUMNS)} FROM requests WHERE {' AND '.join(conditions)} "
        "ORDER BY arrival_unix_s DESC, number DESC LIMIT ?"
    )
    least_s = -1e15 if filters.since_s is None else filters.since_s
    most_s = 1e15 if filters.until_s is None else filters.until_s
    if after is not None:
        most_s = min(most_s, after.arrival_unix_s + 0.001)
    left = limit
    for since_s, until_s in _stretches(database, filters, least_s, most_s):
        bounds = (max(since_s, least_s), min(until_s, most_s))
        for row in database.execute(query, (*values, *bounds, left)):
            left -= 1
            yield row
        if left == 0:
            return


def _stretches(
    database: sqlite3.Connection, filters: Filters, least_s: float, most_s: float
) -> Iterator[tuple[float, float]]:
    """The stretches of time in which requests may be, the newest first."""
    new_hours = None
    if filters.names or filters.least:
        new_hours = _new_hours(database)
    if new_hours is None:
        yield least_s, most_s
        return
    hours = _times(database, filters, HOUR_S, least_s, most_s)
    if filters.key is not None or filters.program is not None:
        # They have indexes of their own: fewer stretches are more than exact ones.
        yield from _joined(_descending(hours, new_hours), HOUR_S)
        return
    for hour in _descending(hours, new_hours):
        if hour in new_hours or not _minutes_are_whole(database, filters, hour):
            yield hour, hour + HOUR_S
        else:
            minutes = _times(database, filters, MINUTE_S, hour, hour + HOUR_S)
            yield from _joined(minutes, MINUTE_S)


def _new_hours(database: sqlite3.Connection) -> set[int] | None:
    """Hours of requests that the rollups do not have yet; None: there are too many."""
    number = folded_to(database)
    (newest,) = database.execute("SELECT max(number) FROM requests").fetchone()
    if (newest or 0) - number > MOST_NEW_ROWS:
        return None
    found = database.execute(
        "SELECT DISTINCT CAST(arrival_unix_s / 3600 AS INTEGER) * 3600 FROM requests "
        "WHERE number > ?",
        (number,),
    )
    return {hour for (hour,) in found}


def _times(
    database: sqlite3.Connection, filters: Filters, level: int, least_s: float, most_s: float
) -> Iterator[int]:
    """When hours or minutes began that have such requests, the newest first."""
    condition, values = filters.of_groups()
    slow = "".join(f" AND {name}_most >= ?" for name in filters.least)
    query = (
        "SELECT DISTINCT began FROM rollup_groups CROSS JOIN rollups "
        "ON group_id = id AND level = ? AND began > ? AND began < ? "
        f"WHERE {condition}{slow} ORDER BY began DESC"
    )
    bounds = (level, least_s - level, most_s)
    for (began,) in database.execute(query, (*bounds, *values, *filters.least.values())):
        yield began


def _minutes_are_whole(database: sqlite3.Connection, filters: Filters, hour: int) -> bool:
    """Whether the minutes of an hour have all its requests: old ones are deleted."""
    condition, values = filters.of_groups()
    query = (
        "SELECT sum(requests) FROM rollup_groups CROSS JOIN rollups "
        f"ON group_id = id AND level = ? AND began >= ? AND began < ? WHERE {condition}"
    )
    of_hour, of_minutes = (
        database.execute(query, (level, hour, hour + HOUR_S, *values)).fetchone()
        for level in (HOUR_S, MINUTE_S)
    )
    return bool(of_hour == of_minutes)


def _descending(hours: Iterator[int], more: set[int]) -> Iterator[int]:
    """All hours once, the newest first."""
    others = sorted(more)
    for hour in hours:
        while others and others[-1] > hour:
            yield others.pop()
        if others and others[-1] == hour:
            others.pop()
        yield hour
    yield from reversed(others)


def _joined(times: Iterator[int], length_s: int) -> Iterator[tuple[float, float]]:
    """Stretches of hours or minutes that follow each other, as one; the newest first."""
    first = last = None
    for time in times:
        if first is not None and last is not None:
            if time == first - length_s:
                first = time
                continue
            yield first, last + length_s
        first = last = time
    if first is not None and last is not None:
        yield first, last + length_s
