"""Opens SQLite files safely after crashes, corruption and version changes."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

META = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
VERSION = "schema_version"
"""The key of the version of a file's tables."""


def open_sqlite(path: Path, schema: str, version: int, kind: str) -> sqlite3.Connection:
    """A connection to the file at `path`; creates the file and its folder if missing.

    A new file, and those that SQLite puts beside it, are readable by the owner only: they may hold
    prompts. A file that is corrupt or has another schema version is moved aside with a warning.
    Any thread may use the connection, one at a time.

    Args:
        path: the SQLite file.
        schema: statements that create missing tables.
        version: of the schema.
        kind: of file, for messages.

    Raises:
        sqlite3.Error: it cannot be opened or written.
        OSError: likewise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(path, schema, version)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        move_aside(path, str(error), kind)
        return _connect(path, schema, version)


def open_to_read(path: Path, timeout_s: float = 5.0) -> sqlite3.Connection:
    """A connection that changes nothing; another process may be writing to the file.

    Args:
        path: the SQLite file; it is not created.
        timeout_s: how long to wait for a lock.

    Raises:
        sqlite3.Error: it is not there, or cannot be opened.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=timeout_s)


def noted(database: sqlite3.Connection, key: str) -> Any:
    """What a file notes about itself under `key`; None: nothing. Raises sqlite3.Error."""
    found = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if found is None else found[0]


def note(database: sqlite3.Connection, key: str, value: int) -> None:
    """Note `value` under `key`, in the caller's transaction. Raises sqlite3.Error."""
    database.execute("REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def move_aside(path: Path, why: str, kind: str) -> None:
    """Rename the database at `path` and its side files, with a warning that says why."""
    aside = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    logger.warning("%s %s was moved to %s (%s): a new one begins", kind, path, aside.name, why)


def _connect(path: Path, schema: str, version: int) -> sqlite3.Connection:
    path.touch(0o600)  # SQLite gives the files beside it the same mode
    database = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(META + schema)
        found = noted(database, VERSION)
        if found not in (None, version):
            raise sqlite3.DatabaseError(f"its schema is version {found}, not {version}")
        with database:  # shows at startup, not at the first request, whether it can be written
            note(database, VERSION, version)
    except BaseException:
        database.close()
        raise
    return database
