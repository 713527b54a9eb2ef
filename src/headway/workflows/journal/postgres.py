"""The journal in PostgreSQL: several machines share one order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.workflows.journal.schema import prepare

SCHEMA_LOCK = 0x48454144
"""Two processes that start at a time make the tables one after the other."""

PASSING = ("40", "53", "55", "57")
"""Classes of SQLSTATE that another try may not meet: rollback, no room, in use, stopped."""


class PostgresConnection:
    """A connection to the database at `url` (`postgresql://…`). Needs the extra `postgres`.

    Raises:
        psycopg.Error: it cannot be reached, or refuses.
        ModuleNotFoundError: psycopg is not installed.
    """

    lock = " FOR UPDATE"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str) -> None:
        import psycopg

        self._database = psycopg.connect(
            url, connect_timeout=10, prepare_threshold=2, application_name="headway"
        )
        with self._database.transaction():
            self._database.execute(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
            prepare(self.query)

    def is_gone(self, error: Exception) -> bool:
        """Whether the server ended the connection."""
        return bool(self._database.closed)

    def may_pass(self, error: Exception) -> bool:
        """Whether the disk is full, or another transaction was in the way."""
        state = getattr(error, "sqlstate", None) or ""
        return state[:2] in PASSING

    def now(self) -> float:
        """The server's clock."""
        return float(self.query("SELECT extract(epoch FROM clock_timestamp())")[0][0])

    def begin(self) -> None:
        """Nothing to do: psycopg begins a transaction with the first statement."""

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement returns."""
        cursor = self._database.execute(statement.replace("?", "%s").encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def commit(self) -> None:
        """Make everything since `begin` last."""
        self._database.commit()

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        self._database.rollback()

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
