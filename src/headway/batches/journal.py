"""The journal: what files and batches there are, which lines are answered, and who runs a batch.

Every method is one transaction. What a runner writes of a batch carries the number of its claim
(`fence`); once another process has claimed the batch, it is refused (`LostBatch`). Times are
seconds since 1970.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from headway.batches import claims
from headway.batches.batch import Batch, Status
from headway.batches.schema import (
    BATCH_COLUMNS,
    FILE_COLUMNS,
    TABLES,
    VERSION,
    Held,
    PlannedLine,
    Result,
    StoredFile,
    batch_of,
    json_of,
    values_of,
)
from headway.store.leases import LEASE_S
from headway.store.owner import Owner
from headway.store.sqlite import SqliteConnection
from headway.store.transactions import Connection, Query, Transactions

DELETED_AT_ONCE = 2000
"""Rows that one transaction deletes."""
_SET = ", ".join(f"{name} = ?" for name in BATCH_COLUMNS.split(", "))
_MARKS = ", ".join("?" * len(BATCH_COLUMNS.split(", ")))

Order = Literal["asc", "desc"]


class JournalError(Exception):
    """The journal cannot be opened; says why and what to do."""


class LostBatch(Exception):
    """Another process has claimed the batch: this one must stop working on it."""


class UnknownCursor(Exception):
    """A list was to go on after something that is not there."""


class Journal:
    """Files, batches and lines in a SQLite file.

    Args:
        path: the file; created if missing.
        owner: this process.

    Raises:
        JournalError: it cannot be opened, or a newer Headway wrote it. It is never moved aside:
            it holds answers that were paid.
    """

    def __init__(self, path: Path, owner: Owner) -> None:
        self.path = path
        self._owner = str(owner)
        try:
            self._transactions = Transactions(lambda: SqliteConnection(path, _prepare))
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"the batches in {path} cannot be opened ({error}): make the folder writable, or "
                "name another one with batch.folder"
            ) from None

    def close(self) -> None:
        """Commit what was begun, and close the file."""
        self._transactions.close()

    # ---- files ------------------------------------------------------------------------------

    async def add_file(self, file: StoredFile) -> None:
        """Add a file."""
        await self._transactions.run(lambda connection: _add_file(connection, file))

    async def file(self, id: str, owner: str, now: float) -> StoredFile | None:
        """The file `id`; None if this owner has no such file, or it has expired."""
        rows = await self._query(
            f"SELECT {FILE_COLUMNS} FROM files WHERE id = ? AND owner = ? "
            "AND (expires_at IS NULL OR expires_at > ?)",
            (id, owner, now),
        )
        return StoredFile(*rows[0]) if rows else None

    async def files(
        self,
        owner: str,
        purpose: str | None,
        after: str | None,
        limit: int,
        order: Order,
        now: float,
    ) -> list[StoredFile]:
        """Up to `limit` files of this owner, by age, those after the file `after`.

        Raises:
            UnknownCursor: there is no file `after`.
        """
        asked = "" if purpose is None else "AND purpose = ? "
        given = () if purpose is None else (purpose,)
        rows = await self._page(
            "files",
            FILE_COLUMNS,
            owner,
            after,
            limit,
            order,
            f"AND (expires_at IS NULL OR expires_at > ?) {asked}",
            (now, *given),
        )
        return [StoredFile(*row) for row in rows]

    async def remove_file(self, id: str, owner: str) -> bool:
        """Delete the row of the file `id`; returns whether this owner had it."""
        rows = await self._query(
            "DELETE FROM files WHERE id = ? AND owner = ? RETURNING id", (id, owner)
        )
        return bool(rows)

    async def expired_files(self, now: float) -> list[str]:
        """Delete the rows of expired files; returns their ids."""
        rows = await self._query("DELETE FROM files WHERE expires_at <= ? RETURNING id", (now,))
        return [id for (id,) in rows]

    async def file_ids(self) -> set[str]:
        """The ids of all files."""
        return {id for (id,) in await self._query("SELECT id FROM files")}

    # ---- batches, for clients ---------------------------------------------------------------

    async def add(self, batch: Batch, now: float) -> Held:
        """Add a batch, which this process holds."""

        def insert(connection: Connection) -> None:
            connection.query(
                f"INSERT INTO batches ({BATCH_COLUMNS}, holder, fence, lease_until) "
                f"VALUES ({_MARKS}, ?, 1, ?)",
                (*values_of(batch), self._owner, now + LEASE_S),
            )

        await self._transactions.run(insert)
        return Held(batch, 1)

    async def batch(self, id: str, owner: str) -> Batch | None:
        """The batch `id`; None if this owner has no such batch."""
        rows = await self._query(
            f"SELECT {BATCH_COLUMNS} FROM batches WHERE id = ? AND owner = ?", (id, owner)
        )
        return batch_of(rows[0]) if rows else None

    async def batches(self, owner: str, after: str | None, limit: int) -> list[Batch]:
        """Up to `limit` batches of this owner, the newest first, those after the batch `after`.

        Raises:
            UnknownCursor: there is no batch `after`.
        """
        rows = await self._page("batches", BATCH_COLUMNS, owner, after, limit, "desc", "", ())
        return [batch_of(row) for row in rows]

    async def cancel(self, id: str, owner: str, now: float) -> Batch | None:
        """Cancel the batch `id`, also where another process runs it; None: no such batch.

        Raises:
            WrongStatus: it is over.
        """

        def cancel(connection: Connection) -> Batch | None:
            rows = connection.query(
                f"SELECT {BATCH_COLUMNS} FROM batches WHERE id = ? AND owner = ?", (id, owner)
            )
            if not rows:
                return None
            batch = batch_of(rows[0]).cancelled(now)
            _update(connection, batch)
            return batch

        return await self._transactions.run(cancel)

    # ---- batches, for the process that runs them ----------------------------------------------

    async def claim(self, now: float) -> list[Held]:
        """Claim the batches that nobody holds, or whose holder died."""
        return await self._transactions.run(partial(claims.claim, now, self._owner))

    def renew(self, now: float) -> None:
        """Keep what this process holds for another LEASE_S. For a thread: it waits."""
        self._transactions.submit(partial(claims.renew, now, self._owner)).result()

    async def release(self) -> None:
        """Hold nothing any more: another process may go on at once."""
        await self._query("UPDATE batches SET holder = NULL WHERE holder = ?", (self._owner,))

    async def plan(
        self, held: Held, lines: Sequence[PlannedLine], change: Callable[[Batch], Batch]
    ) -> Batch:
        """Write down what there is to do, and change the batch with it.

        Raises:
            LostBatch: another process holds it.
        """

        def plan(connection: Connection) -> Batch:
            batch = _held(connection, held)
            connection.query("DELETE FROM lines WHERE batch = ?", (batch.id,))
            for line in lines:
                connection.query(
                    "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?)", (batch.id, *astuple(line))
                )
            batch = change(batch)
            _update(connection, batch)
            return batch

        return await self._transactions.run(plan)

    async def next_lines(self, batch: str, after: int, most: int) -> list[PlannedLine]:
        """Up to `most` lines without an answer, in their order, those behind the place `after`."""
        rows = await self._query(
            "SELECT place, line, at, bytes, custom_id FROM lines WHERE batch = ? AND place > ? "
            "AND NOT EXISTS (SELECT 1 FROM results WHERE results.batch = lines.batch "
            "AND results.line = lines.line) ORDER BY place LIMIT ?",
            (batch, after, most),
        )
        return [PlannedLine(*row) for row in rows]

    async def record(self, held: Held, results: Sequence[Result]) -> Batch:
        """Write down answers; a line that has one keeps it. Returns the batch with its counts.

        Raises:
            LostBatch: another process holds it.
        """

        def record(connection: Connection) -> Batch:
            batch = _held(connection, held)
            completed = failed = 0
            usage = batch.usage
            for one in results:
                added = connection.query(
                    "INSERT INTO results VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
                    (batch.id, one.line, one.attempt, one.succeeded, one.answer),
                )
                if added:
                    completed += one.succeeded
                    failed += not one.succeeded
                    usage += one.usage
            batch = replace(
                batch,
                completed=batch.completed + completed,
                failed=batch.failed + failed,
                usage=usage,
            )
            connection.query(
                "UPDATE batches SET completed = ?, failed = ?, usage = ? WHERE id = ?",
                (batch.completed, batch.failed, json_of(astuple(batch.usage)), batch.id),
            )
            return batch

        return await self._transactions.run(record)

    async def change(
        self, held: Held, change: Callable[[Batch], Batch], files: Sequence[StoredFile] = ()
    ) -> Batch:
        """Change a batch, and add the files that it wrote.

        Raises:
            LostBatch: another process holds it.
            WrongStatus: from `change`.
        """

        def write(connection: Connection) -> Batch:
            batch = change(_held(connection, held))
            for file in files:
                _add_file(connection, file)
            _update(connection, batch)
            return batch

        return await self._transactions.run(write)

    async def status(self, held: Held) -> Batch:
        """The batch as it is now. Raises LostBatch."""
        return await self._transactions.run(lambda connection: _held(connection, held))

    async def leftovers(self) -> list[str]:
        """Batches that are over and still have lines here."""
        rows = await self._query("SELECT DISTINCT batch FROM lines")
        found = []
        for (id,) in rows:
            ((status,),) = await self._query("SELECT status FROM batches WHERE id = ?", (id,))
            if Status(status).over:
                found.append(id)
        return found

    async def forget_lines(self, batch: str) -> None:
        """Delete the lines and answers of a batch that is over: its files have them."""
        for table in ("results", "lines"):
            while await self._query(
                f"DELETE FROM {table} WHERE batch = ? AND line IN "
                f"(SELECT line FROM {table} WHERE batch = ? LIMIT ?) RETURNING 1",
                (batch, batch, DELETED_AT_ONCE),
            ):
                pass

    def answers(self, batch: str) -> Iterator[tuple[int, str, bool | None, bytes | None]]:
        """Line, custom_id, success and answer of every line, by line; None: it has no answer.

        For a thread: it reads on a connection of its own, and little at a time.
        """
        database = sqlite3.connect(self.path, timeout=30.0)
        try:
            yield from database.execute(
                "SELECT lines.line, custom_id, succeeded, answer FROM lines LEFT JOIN results "
                "ON results.batch = lines.batch AND results.line = lines.line "
                "WHERE lines.batch = ? ORDER BY lines.line",
                (batch,),
            )
        finally:
            database.close()

    async def _query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return await self._transactions.run(lambda connection: connection.query(statement, values))

    async def _page(
        self,
        table: str,
        columns: str,
        owner: str,
        after: str | None,
        limit: int,
        order: Order,
        condition: str,
        values: tuple[Any, ...],
    ) -> list[tuple[Any, ...]]:
        beyond, given = "", values
        if after is not None:
            found = await self._query(
                f"SELECT number FROM {table} WHERE id = ? AND owner = ?", (after, owner)
            )
            if not found:
                raise UnknownCursor(after)
            beyond = f"AND number {'>' if order == 'asc' else '<'} ? "
            given = (*values, found[0][0])
        return await self._query(
            f"SELECT {columns} FROM {table} WHERE owner = ? {condition}{beyond}"
            f"ORDER BY number {order} LIMIT ?",
            (owner, *given, limit),
        )


def _prepare(query: Query) -> None:
    """Make the tables that are missing. Raises JournalError: a newer Headway wrote them."""
    ((found,),) = query("PRAGMA user_version", ())
    if found > VERSION:
        raise JournalError(
            "the batches in batch.folder were written by a newer Headway: start that one, or name "
            "another folder with batch.folder"
        )
    for statement in TABLES:
        query(statement, ())
    query(f"PRAGMA user_version = {VERSION}", ())


def _held(connection: Connection, held: Held) -> Batch:
    rows = connection.query(
        f"SELECT fence, {BATCH_COLUMNS} FROM batches WHERE id = ?", (held.batch.id,)
    )
    if not rows or rows[0][0] != held.fence:
        raise LostBatch(held.batch.id)
    return batch_of(rows[0][1:])


def _update(connection: Connection, batch: Batch) -> None:
    connection.query(f"UPDATE batches SET {_SET} WHERE id = ?", (*values_of(batch), batch.id))


def _add_file(connection: Connection, file: StoredFile) -> None:
    connection.query(
        f"INSERT INTO files ({FILE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(file)
    )
