"""Which files there are, and what is in them where gateways share no folder.

What is added may be there: a connection that is lost at the commit leaves open whether it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from headway.batches.batch import OVER
from headway.batches.schema import FILE_COLUMNS, StoredFile
from headway.store.transactions import Connection, marks

FORMER_S = 24 * 3600
"""How long a list may go on after a file that was deleted."""


def add(file: StoredFile, connection: Connection) -> None:
    """Add a file."""
    values = astuple(file)
    connection.query(
        f"INSERT INTO files ({FILE_COLUMNS}) VALUES ({marks(len(values))}) ON CONFLICT DO NOTHING",
        values,
    )


def remove(id: str, owner: str, now: float, connection: Connection) -> bool:
    """Delete the file `id`; returns whether this owner had it."""
    return bool(_removed("id = ? AND owner = ?", (id, owner), now, connection))


def remove_expired(now: float, connection: Connection) -> list[str]:
    """Delete expired files; returns their ids."""
    connection.query("DELETE FROM former_files WHERE until <= ?", (int(now),))
    return _removed("expires_at <= ?", (now,), now, connection)


def _removed(
    condition: str, values: Sequence[object], now: float, connection: Connection
) -> list[str]:
    rows = connection.query(
        f"DELETE FROM files WHERE {condition} RETURNING id, owner, number", values
    )
    for id, owner, number in rows:
        connection.query(
            "INSERT INTO former_files (id, owner, number, until) VALUES (?, ?, ?, ?)",
            (id, owner, number, int(now) + FORMER_S),
        )
        forget_unused(id, connection)
    return [id for id, _, _ in rows]


def add_piece(file: str, number: int, content: bytes, now: float, connection: Connection) -> None:
    """Keep one piece of a file, counted from 0."""
    connection.query(
        "INSERT INTO pieces (file, number, content, written_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        (file, number, content, int(now)),
    )


def pieces(file: str, connection: Connection) -> int:
    """How many pieces a file has; 0: it is not there. They come and go together."""
    ((count,),) = connection.query("SELECT count(*) FROM pieces WHERE file = ?", (file,))
    return int(count)


def piece(file: str, number: int, connection: Connection) -> bytes | None:
    """One piece of a file; None: it is not there."""
    rows = connection.query(
        "SELECT content FROM pieces WHERE file = ? AND number = ?", (file, number)
    )
    return bytes(rows[0][0]) if rows else None


def forget_unused(file: str, connection: Connection) -> None:
    """Delete what is in a file that is no more, unless a batch still reads it."""
    connection.query(
        "DELETE FROM pieces WHERE file = ? "
        "AND NOT EXISTS (SELECT 1 FROM files WHERE id = ?) AND NOT EXISTS "
        f"(SELECT 1 FROM batches WHERE input_file_id = ? AND status NOT IN ({marks(len(OVER))}))",
        (file, file, file, *OVER),
    )


def forget_left_behind(before: float, connection: Connection) -> None:
    """Delete what no file has, and what was written before then: a crash left it."""
    rows = connection.query(
        "SELECT file FROM pieces WHERE number = 0 AND written_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM files WHERE id = pieces.file)",
        (int(before),),
    )
    for (file,) in rows:
        forget_unused(file, connection)
