"""The tables of a journal, version by version.

Each step has the statements that make a version of the one before. What is missing runs at the
start, in the transaction of the connection: processes that start together do so one after the
other, and one that dies halfway leaves the version it found.
"""

from __future__ import annotations

from collections.abc import Sequence

from headway.store.transactions import Connection


class NewerDatabase(Exception):
    """A newer Headway wrote the database."""


def bring_up(connection: Connection, journal: str, steps: Sequence[Sequence[str]]) -> None:
    """Bring the tables of `journal` to the newest version, which is the number of steps.

    Args:
        connection: within a transaction that no other process has at the same time.
        journal: its name; several may share a database.
        steps: statements with the connection's `words` in braces. Those of the first may find
            their tables there.

    Raises:
        NewerDatabase: its version is above that.
    """
    connection.query(
        "CREATE TABLE IF NOT EXISTS versions (journal TEXT PRIMARY KEY, version INTEGER NOT NULL)"
    )
    rows = connection.query("SELECT version FROM versions WHERE journal = ?", (journal,))
    found = rows[0][0] if rows else 0
    if found > len(steps):
        raise NewerDatabase(
            f"the {journal} in it have version {found}, and this Headway knows version "
            f"{len(steps)}: upgrade Headway, or name another database"
        )
    for step in steps[found:]:
        for statement in step:
            connection.query(statement.format_map(connection.words))
    connection.query(
        "INSERT INTO versions (journal, version) VALUES (?, ?) "
        "ON CONFLICT (journal) DO UPDATE SET version = excluded.version",
        (journal, len(steps)),
    )
