"""What the request log's own thread does beside writing: rollups, indexes, retention."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from headway.store import cost_days
from headway.store.history import rollups
from headway.store.history.retention import Retention

logger = logging.getLogger(__name__)

FOLD_EVERY_S = 10.0
"""Charts are behind by as much. Folding more rows together costs less for each."""
TRIM_EVERY_S = 600.0
REST = 3.0
"""Rest after a piece of a long job, in multiples of what it took: the cores are for serving."""
AGAIN_S = 60.0
"""After an error of the disk."""
INDEXES = (
    "CREATE INDEX IF NOT EXISTS requests_by_id ON requests (id)",
    "CREATE INDEX IF NOT EXISTS requests_by_program ON requests (program, arrival_unix_s) "
    "WHERE program != ''",
    "CREATE INDEX IF NOT EXISTS requests_by_key ON requests (key, arrival_unix_s) WHERE key != ''",
)
"""Made here and not at the start: in a log from before, each takes a second for a million rows."""


class Upkeep:
    """Does what is due, a piece at a time.

    Args:
        path: the log, for messages.
        keep_s: how long rows are kept; None: for ever.
    """

    def __init__(self, path: Path, keep_s: float | None) -> None:
        self._path = path
        self._retention = Retention(keep_s)
        self._fold_at_s: float | None
        """On the clock of `time.monotonic`; None: there are no new rows."""
        self._warned = False
        self.begin()

    def begin(self) -> None:
        """The file has just been opened: what is to be done in it is not known."""
        self._indexes = list(INDEXES)
        self._fold_at_s = self._trim_at_s = 0.0

    def written(self) -> None:
        """There are new rows."""
        if self._fold_at_s is None:
            self._fold_at_s = time.monotonic() + FOLD_EVERY_S

    def next_s(self) -> float:
        """Seconds until something is due."""
        at_s = self._trim_at_s if self._fold_at_s is None else min(self._trim_at_s, self._fold_at_s)
        return max(0.0, at_s - time.monotonic())

    def step(self, database: sqlite3.Connection) -> None:
        """Do a piece of what is due. Never raises: what fails is tried again later."""
        try:
            self._fold(database)
            self._trim(database)
        except sqlite3.Error as error:
            if not self._warned:
                logger.warning(
                    "request log %s: its rollups and its retention wait (%s); free disk space",
                    self._path,
                    error,
                )
            self._warned = True
            self._fold_at_s = self._trim_at_s = time.monotonic() + AGAIN_S
        else:
            self._warned = False

    def _fold(self, database: sqlite3.Connection) -> None:
        now_s = time.monotonic()
        if self._fold_at_s is None or now_s < self._fold_at_s:
            return
        if self._indexes:
            with database:
                database.execute(self._indexes[0])
            del self._indexes[0]
        more = rollups.advance(database, time.time())
        more = cost_days.advance(database) or more
        self._fold_at_s = _rested(now_s) if more or self._indexes else None

    def _trim(self, database: sqlite3.Connection) -> None:
        now_s = time.monotonic()
        if now_s < self._trim_at_s:
            return
        more = self._retention.trim(database, time.time())
        self._trim_at_s = _rested(now_s) if more else now_s + TRIM_EVERY_S


def _rested(began_s: float) -> float:
    """When to go on with a job of which a piece began at `began_s`."""
    now_s = time.monotonic()
    return now_s + REST * (now_s - began_s)
