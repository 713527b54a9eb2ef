"""A journal in PostgreSQL: several machines share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.store.transactions import Connection

SCHEMA_LOCK = 0x48454144
"""Two processes that start at a time make the tables one after the other."""

PASSING = ("40", "53", "55", "57")
"""Classes of SQLSTATE that another try may not meet: rollback, no room, in use, stopped."""

OURS: dict[str, str | int] = {
    "application_name": "headway",
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server that vanished is noticed within some ten seconds; the address may say otherwise."""

LOCKED_S = 5
"""How long a process that was frozen, or cut off, within a transaction keeps others waiting."""

WORDS = {
    "bytes": "BYTEA",
    "counted": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "by_key": "",
}


class PostgresConnection:
    """A connection to the database at `url` (`postgresql://…`). Needs the extra `postgres`.

    Args:
        url: its address.
        prepare: makes the tables that are missing.

    Raises:
        psycopg.Error: it cannot be reached, or refuses.
        ModuleNotFoundError: psycopg is not installed.
    """

    lock = " FOR UPDATE"
    skip_locked = " FOR UPDATE SKIP LOCKED"
    one_machine = False
    words: Mapping[str, str] = WORDS

    def __init__(self, url: str, prepare: Callable[[Connection], None]) -> None:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        self._since_s = time.monotonic()
        given = conninfo_to_dict(url)
        ours = {name: value for name, value in OURS.items() if name not in given}
        self._database = psycopg.connect(make_conninfo(url, **ours), prepare_threshold=2)
        try:
            self._database.execute(f"SET idle_in_transaction_session_timeout = '{LOCKED_S}s'")
            self._database.execute(f"SET lock_timeout = '{2 * LOCKED_S}s'")
            self._database.execute(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
            prepare(self)
            self._database.commit()
        except BaseException:
            self._database.close()
            raise

    @property
    def age_s(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._since_s

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
        text = statement.replace("?", "%s").encode()
        cursor = self._database.execute(text, values or None, binary=True)  # bytes are not in hex
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
