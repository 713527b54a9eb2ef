"""A journal in an SQLite file: one machine, several processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.store.transactions import Connection

BUSY_S = 30.0
"""How long one process waits for the writes of another."""


PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
)
"""Errors that another try may not meet: somebody makes room, or lets go of the file."""

WORDS = {
    "bytes": "BLOB",
    "counted": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "by_key": " WITHOUT ROWID",
}


class SqliteConnection:
    """A connection to the file at `path`; creates it, readable by its owner only.

    Commits wait for the disk (`synchronous = FULL`), so that no answer that was paid is lost in a
    power failure.

    Args:
        path: the file.
        prepare: makes the tables that are missing.

    Raises:
        sqlite3.Error: it cannot be opened or written.
        OSError: likewise.
    """

    lock = ""
    skip_locked = ""
    one_machine = True
    words: Mapping[str, str] = WORDS

    def __init__(self, path: Path, prepare: Callable[[Connection], None]) -> None:
        self._since_s = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        self._database = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA synchronous = FULL")
        try:
            self._use_wal()
            self.begin()
            prepare(self)
            self.commit()
        except BaseException:
            self._database.close()
            raise

    def _use_wal(self) -> None:
        """Switch a new file over. Several processes may do so at a time; SQLite does not wait."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if not self.may_pass(error) or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @property
    def age_s(self) -> float:
        """Seconds since the file was opened."""
        return time.monotonic() - self._since_s

    def is_gone(self, error: Exception) -> bool:
        """Never: a file does not go away as a server does."""
        return False

    def may_pass(self, error: Exception) -> bool:
        """Whether the disk is full, or others hold the file."""
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in PASSING

    def now(self) -> float:
        """This machine's clock: all who share a file have it."""
        return time.time()

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
