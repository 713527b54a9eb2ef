"""Questions to a log, where the process that answers them finds them quickly."""

from __future__ import annotations

import os
import sqlite3


def first(database: sqlite3.Connection, statement: str) -> object:
    """The first value that a statement selects."""
    return database.execute(statement).fetchone()[0]


def own_priority(database: sqlite3.Connection) -> int:
    """The nice value of the process that answers."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def die(database: sqlite3.Connection) -> None:
    """End the process that answers."""
    os._exit(1)
