"""Sums and histograms of requests by minute, hour and day, made ahead of every question.

A fold over the rows of the log in the order of their numbers: how far it has come is in the same
file, and written in the same transaction. So a crash, an older log and rows that another version
wrote need nothing of their own: the rest is folded in later, a piece at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from headway.store.database import note, noted
from headway.store.history.histogram import bucket_of, merged

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
LEVELS = (MINUTE_S, HOUR_S, DAY_S)
MINUTES_KEPT_S = 7 * DAY_S
"""Older minutes are not made, and are deleted."""
MEASURES = ("total_ms", "ttft_ms", "queue_ms")
DIMENSIONS = ("tenant", "model", "tier", "outcome")

SCHEMA = """
CREATE TABLE IF NOT EXISTS rollup_groups (
    id INTEGER PRIMARY KEY,
    tenant TEXT,
    model TEXT,
    tier TEXT,
    outcome TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS rollup_groups_by_name
    ON rollup_groups (tenant, model, tier, outcome);
CREATE TABLE IF NOT EXISTS rollups (
    level INTEGER NOT NULL,
    began INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL,
    total_ms_most REAL NOT NULL,
    ttft_ms_most REAL NOT NULL,
    queue_ms_most REAL NOT NULL,
    total_ms BLOB NOT NULL,
    ttft_ms BLOB NOT NULL,
    queue_ms BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS rollups_by_group ON rollups (level, group_id, began);
"""
"""NULL: all of them together. There are groups of the four, of all but the tenant, of the tenant
alone, and of all requests, so that common questions need few. `…_most`: -1 if none was measured."""

MOST = 1e12
"""What a row has beyond it, of tokens or seconds, is damage."""
AT_ONCE = 4000
"""Rows in one transaction."""
FOLDED_TO = "rolled_up_to"
"""What the log notes of how far the fold has come."""
ROWS = """
SELECT number, arrival_unix_s, tenant, model, tier, outcome,
    prompt_tokens, output_tokens, cost, total_ms, ttft_ms, queue_ms
FROM requests WHERE number > ? ORDER BY number LIMIT ?
"""
GROUP = """
SELECT id FROM rollup_groups WHERE tenant IS ? AND model IS ? AND tier IS ? AND outcome IS ?
"""
KEPT = """
SELECT total_ms, ttft_ms, queue_ms FROM rollups WHERE level = ? AND group_id = ? AND began = ?
"""
ADD = """
INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (level, group_id, began) DO UPDATE SET
    requests = requests + excluded.requests,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cost = cost + excluded.cost,
    total_ms_most = max(total_ms_most, excluded.total_ms_most),
    ttft_ms_most = max(ttft_ms_most, excluded.ttft_ms_most),
    queue_ms_most = max(queue_ms_most, excluded.queue_ms_most),
    total_ms = excluded.total_ms,
    ttft_ms = excluded.ttft_ms,
    queue_ms = excluded.queue_ms
"""

NOTHING = (b"", b"", b"")
"""Histograms of a cell that is not there yet."""
Names = tuple[str | None, str | None, str | None, str | None]
"""Tenant, model, tier and outcome; None: all of them."""


class Cell:
    """What is known of the requests of one group that came in one stretch of time."""

    __slots__ = ("cost", "counts", "most", "output_tokens", "prompt_tokens", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.cost = 0.0
        self.most = [-1.0, -1.0, -1.0]
        """The longest duration of each measure."""
        self.counts: tuple[dict[int, int], ...] = ({}, {}, {})
        """Of each measure, by bucket."""

    def add(
        self, prompt_tokens: Any, output_tokens: Any, cost: Any, durations: Iterable[Any]
    ) -> None:
        """Add one row. What is no number does not count: rows may be damaged."""
        self.requests += 1
        if type(prompt_tokens) is int and 0 < prompt_tokens < MOST:
            self.prompt_tokens += prompt_tokens
        if type(output_tokens) is int and 0 < output_tokens < MOST:
            self.output_tokens += output_tokens
        if type(cost) is float and 0.0 < cost < MOST:
            self.cost += cost
        for place, duration_ms in enumerate(durations):
            if type(duration_ms) is float and 0.0 <= duration_ms < MOST:
                counts, bucket = self.counts[place], bucket_of(duration_ms)
                counts[bucket] = counts.get(bucket, 0) + 1
                if duration_ms > self.most[place]:
                    self.most[place] = duration_ms

    def merge(self, other: Cell) -> None:
        """Add all that `other` has."""
        self.requests += other.requests
        self.prompt_tokens += other.prompt_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost
        for place, counts in enumerate(other.counts):
            own = self.counts[place]
            if not own:
                own.update(counts)
            else:
                for bucket, count in counts.items():
                    own[bucket] = own.get(bucket, 0) + count
            if other.most[place] > self.most[place]:
                self.most[place] = other.most[place]


Key = tuple[int, int, Names]
"""Level, beginning and group."""
Cells = dict[Key, Cell]


def folded_to(database: sqlite3.Connection) -> int:
    """The number of the last row that the rollups have; 0: none."""
    return int(noted(database, FOLDED_TO) or 0)


def advance(database: sqlite3.Connection, now_s: float, most: int = AT_ONCE) -> bool:
    """Fold in the next rows, in one transaction; returns whether there may be more.

    Args:
        database: the log, to write to.
        now_s: Unix time.
        most: rows at once.

    Raises:
        sqlite3.Error: nothing was changed.
    """
    with database:
        database.execute("BEGIN IMMEDIATE")  # no other process folds the same rows
        rows = database.execute(ROWS, (folded_to(database), most)).fetchall()
        if not rows:
            return False
        _write(database, all_levels(folded(rows), now_s - MINUTES_KEPT_S))
        note(database, FOLDED_TO, rows[-1][0])
    return len(rows) == most


def folded(rows: Iterable[tuple[Any, ...]]) -> Cells:
    """The cells of the minutes, by tenant, of rows as ROWS selects them."""
    cells: Cells = {}
    for _, arrival, tenant, model, tier, outcome, prompt, output, cost, *durations in rows:
        if type(arrival) is not float or not -MOST < arrival < MOST:
            continue  # a damaged row
        began = int(arrival // MINUTE_S) * MINUTE_S
        key = (MINUTE_S, began, (tenant, model, tier, outcome))
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Cell()
        cell.add(prompt, output, cost, durations)
    return cells


def all_levels(minutes: Cells, minutes_from_s: float) -> Cells:
    """The cells of all levels, with and without tenants; no minutes before `minutes_from_s`."""
    hours = _coarser(minutes, HOUR_S)
    days = _coarser(hours, DAY_S)
    minutes = {key: cell for key, cell in minutes.items() if key[1] >= minutes_from_s}
    cells: Cells = {}
    for level in (minutes, hours, days):
        of_all_tenants = _together(level, "tenant")
        cells |= level | of_all_tenants
        cells |= _together(level, "model", "tier", "outcome")
        cells |= _together(of_all_tenants, "model", "tier", "outcome")
    return cells


def _coarser(cells: Cells, level: int) -> Cells:
    return _merged(
        ((level, began // level * level, names), cell) for (_, began, names), cell in cells.items()
    )


def _together(cells: Cells, *dimensions: str) -> Cells:
    """The cells of all values of these dimensions together."""
    tenant, model, tier, outcome = (name not in dimensions for name in DIMENSIONS)
    return _merged(
        (
            (
                level,
                began,
                (
                    names[0] if tenant else None,
                    names[1] if model else None,
                    names[2] if tier else None,
                    names[3] if outcome else None,
                ),
            ),
            cell,
        )
        for (level, began, names), cell in cells.items()
    )


def _merged(cells: Iterable[tuple[Key, Cell]]) -> Cells:
    """All cells of one key as one. A cell that is alone stays the same object."""
    merged: Cells = {}
    own: set[Key] = set()
    for key, cell in cells:
        whole = merged.get(key)
        if whole is None:
            merged[key] = cell
            continue
        if key not in own:
            own.add(key)
            merged[key] = Cell()
            merged[key].merge(whole)
        merged[key].merge(cell)
    return merged


def _write(database: sqlite3.Connection, cells: Cells) -> None:
    ids: dict[Names, int] = {}
    rows = []
    for (level, began, names), cell in cells.items():
        group = ids.get(names)
        if group is None:
            group = ids[names] = _group(database, names)
        kept = database.execute(KEPT, (level, group, began)).fetchone()
        histograms = map(merged, kept or NOTHING, cell.counts)
        sums = (cell.requests, cell.prompt_tokens, cell.output_tokens, cell.cost)
        rows.append((level, began, group, *sums, *cell.most, *histograms))
    database.executemany(ADD, rows)


def _group(database: sqlite3.Connection, names: Names) -> int:
    found = database.execute(GROUP, names).fetchone()
    if found is not None:
        return int(found[0])
    added = database.execute(
        "INSERT INTO rollup_groups (tenant, model, tier, outcome) VALUES (?, ?, ?, ?)", names
    )
    assert added.lastrowid is not None
    return added.lastrowid
