"""A journal in an SQLite file: one machine, several processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BUSY_S = 30.0
"""How long one process waits for the writes of another."""


class Lost(Exception):
    """Never raised: a file does not go away as a server does."""


class SqliteConnection:
    """A connection to the file at `path`; creates it, readable by its owner only.

    Commits wait for the disk (`synchronous = FULL`), so that no answer that was paid is lost in a
    power failure.

    Args:
        path: the file.
        tables: statements that create missing tables.

    Raises:
        sqlite3.Error: it cannot be opened or written.
        OSError: likewise.
    """

    lost: type[Exception] = Lost
    lock = ""
    skip_locked = ""

    def __init__(self, path: Path, tables: Iterable[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        self._database = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self.begin()
        for statement in tables:
            self._database.execute(statement)
        self.commit()

    def begin(self) -> None:
        """Begin a transaction that may write: it waits for others now, not halfway."""
        self._database.execute("BEGIN IMMEDIATE")

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement returns."""
        return self._database.execute(statement, values).fetchall()

    def commit(self) -> None:
        """Make everything since `begin` last."""
        self._database.execute("COMMIT")

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
