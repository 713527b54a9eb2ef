"""The request log as its reader has it open: never a file that is gone."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

from headway.store.database import VERSION, noted, open_to_read
from headway.store.request_record import SCHEMA_VERSION

CACHE_KB = 16_000


class HistoryError(Exception):
    """The log cannot be read; the message says why and what to do."""


class LogFile:
    """A connection to the log at `path`, for questions.

    Args:
        path: the log's file; a broken one is moved aside by its writer, and begun anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Device and inode of the open file."""

    def opened(self) -> sqlite3.Connection:
        """A connection to the file that is there now.

        Raises:
            HistoryError: there is none, or a newer Headway wrote it.
            sqlite3.Error: it cannot be opened.
        """
        try:
            status = self._path.stat()
        except OSError as error:
            raise HistoryError(f"there is no request log {self._path} ({error})") from None
        if self._database is None or self._file != (status.st_dev, status.st_ino):
            self.close()
            self._database = _connect(self._path)
            self._file = (status.st_dev, status.st_ino)
        return self._database

    def close(self) -> None:
        """Close the file; `opened` opens it again."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _connect(path: Path) -> sqlite3.Connection:
    database = open_to_read(path, timeout_s=1.0)
    database.text_factory = partial(str, encoding="utf-8", errors="replace")
    database.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    found = noted(database, VERSION)
    if found is None or found > SCHEMA_VERSION:
        database.close()
        raise HistoryError(
            f"the request log {path} was written by a newer Headway; update this one, or set "
            "log.requests_db to another file"
        )
    return database
