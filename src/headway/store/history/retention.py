"""Deletes what is too old, a few rows at a time: nobody waits for long."""

from __future__ import annotations

import sqlite3
import time

from headway.store.cost_days import BY_RUN, summed_to
from headway.store.history.rollups import DAY_S, HOUR_S, MINUTE_S, MINUTES_KEPT_S, folded_to

HOURS_KEPT_S = 100 * DAY_S
"""At least; as long as rows are kept. Days are never deleted."""
WANTED_S = 0.004
"""How long one piece takes."""
FEWEST, MOST = 16, 2000
"""Rows in a piece."""

OLD_ROWS = """
DELETE FROM requests WHERE number IN (
    SELECT number FROM requests WHERE arrival_unix_s < ? ORDER BY arrival_unix_s LIMIT ?
) AND number < (SELECT max(number) FROM requests) AND number <= ?
"""
"""The newest row stays: SQLite would give its number again, and readers go by numbers. So do those
that the rollups or the sums of costs do not have yet."""
OLD_ROLLUPS = """
DELETE FROM rollups WHERE rowid IN (
    SELECT rollups.rowid FROM rollup_groups CROSS JOIN rollups
        ON group_id = id AND level = ? AND began < ? LIMIT ?
)
"""
OLD_RUNS = f"""
DELETE FROM {BY_RUN.name} WHERE (day, tenant, key, program, batch) IN (
    SELECT day, tenant, key, program, batch FROM {BY_RUN.name} WHERE day < ? LIMIT ?
)
"""


class Retention:
    """Decides what is too old.

    Args:
        keep_s: how long rows are kept; None: for ever.
    """

    def __init__(self, keep_s: float | None) -> None:
        self._keep_s = keep_s
        self._most = FEWEST
        """Rows in the next piece: as many as take `WANTED_S` here."""

    def trim(self, database: sqlite3.Connection, now_s: float) -> bool:
        """Delete a few of the rows and rollups that are too old; returns whether there are more.

        Args:
            database: the log, to write to.
            now_s: Unix time.

        Raises:
            sqlite3.Error: nothing was deleted.
        """
        limit, began_s = self._most, time.perf_counter()
        kept_s = {MINUTE_S: float(MINUTES_KEPT_S)}
        deleted = 0
        with database:
            if self._keep_s is not None:
                kept_s[HOUR_S] = max(HOURS_KEPT_S, self._keep_s)
                oldest_s = now_s - self._keep_s
                known = min(folded_to(database), summed_to(database))
                deleted = database.execute(OLD_ROWS, (oldest_s, limit, known)).rowcount
                if deleted < limit:
                    runs = (oldest_s // DAY_S, limit - deleted)
                    deleted += database.execute(OLD_RUNS, runs).rowcount
            for level, keep_s in kept_s.items():
                if deleted < limit:
                    old = (level, now_s - keep_s, limit - deleted)
                    deleted += database.execute(OLD_ROLLUPS, old).rowcount
        took_s = time.perf_counter() - began_s
        if took_s > WANTED_S:
            self._most = max(FEWEST, limit // 2)
        elif deleted == limit and took_s < WANTED_S / 2:
            self._most = min(MOST, limit * 2)
        return deleted >= limit
