"""The journal in PostgreSQL: several machines share one order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.workflows.journal.schema import TABLES

SCHEMA_LOCK = 0x48454144
"""Two processes that start at a time make the tables one after the other."""


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

        self.lost: type[Exception] = psycopg.OperationalError
        self._database = psycopg.connect(
            url, connect_timeout=10, prepare_threshold=2, application_name="headway"
        )
        with self._database.transaction():
            self._database.execute(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
            for statement in TABLES:
                self._database.execute(statement.encode())

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
