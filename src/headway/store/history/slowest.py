"""The slowest requests: of the times alone in which the rollups say that there was one."""

from __future__ import annotations

import sqlite3
from heapq import nlargest
from typing import Any

import msgspec

from headway.store.history.filters import Filters
from headway.store.history.pages import COLUMNS, Page, page_of, scan
from headway.store.history.rollups import DAY_S, HOUR_S, MINUTE_S

LONG_S = 2 * DAY_S
"""The longest time whose minutes are looked at; of a longer one the hours are."""


def slowest(database: sqlite3.Connection, filters: Filters, measure: str, limit: int) -> Page:
    """The `limit` requests that took longest, the slowest first.

    Args:
        database: the log.
        filters: which requests count; `since_s` and `until_s` are given.
        measure: one of MEASURES.
        limit: how many.
    """
    least: float = getattr(filters, measure) or 0.0
    floor = max(least, _floor(database, filters, measure, limit))
    place = 1 + COLUMNS.index(measure)
    while True:
        narrowed = msgspec.structs.replace(filters, **{measure: floor})
        rows = scan(database, narrowed, -1)
        found = nlargest(limit, rows, key=lambda row: (_time_ms(row[place]), row[0]))
        if len(found) == limit or floor == least:
            return page_of(found, None)
        floor = least  # the rollups outlive requests


def _time_ms(value: Any) -> float:
    """A time, or 0 for what is none: rows may be damaged."""
    return value if type(value) is float else 0.0


def _floor(database: sqlite3.Connection, filters: Filters, measure: str, limit: int) -> float:
    """What `limit` requests took at least, by the slowest one of each minute or hour."""
    if filters.key is not None or filters.program is not None or filters.least:
        return 0.0  # a cell may have got its slowest from another request
    assert filters.since_s is not None and filters.until_s is not None
    level = MINUTE_S if filters.until_s - filters.since_s <= LONG_S else HOUR_S
    condition, values = filters.of_groups()
    query = (
        f"SELECT max({measure}_most) AS most FROM rollup_groups CROSS JOIN rollups "
        "ON group_id = id AND level = ? AND began >= ? AND began <= ? "
        f"WHERE {condition} GROUP BY began ORDER BY most DESC LIMIT 1 OFFSET ?"
    )
    bounds = (level, filters.since_s, filters.until_s - level)
    found = database.execute(query, (*bounds, *values, limit - 1)).fetchone()
    return 0.0 if found is None else max(0.0, found[0])
