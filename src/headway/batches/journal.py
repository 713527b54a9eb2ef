"""The journal: what files and batches there are, which lines are answered, and who runs a batch.

Every method is one transaction, unless it says otherwise. What a runner writes of a batch carries
the number of its claim (`fence`); once another process has claimed the batch, it is refused
(`LostBatch`). Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from headway.batches import claims, file_rows, line_rows
from headway.batches.batch import OVER, Batch
from headway.batches.line_rows import Answered
from headway.batches.schema import (
    BATCH_COLUMNS,
    FILE_COLUMNS,
    Held,
    PlannedLine,
    Result,
    StoredFile,
    batch_of,
    prepare,
    values_of,
)
from headway.store.opening import open_database
from headway.store.owner import Owner
from headway.store.transactions import Connection, Transactions, marks

PLANNED_AT_ONCE = 5000
"""Lines that one transaction writes: others wait for it, such as the renewal of leases."""
ANSWERS_AT_ONCE = 64
"""Answers in memory while files are written."""
_SET = ", ".join(f"{name} = ?" for name in BATCH_COLUMNS.split(", "))

Order = Literal["asc", "desc"]


class UnknownCursor(Exception):
    """A list was to go on after something that is not there."""


class Journal:
    """Files, batches and lines in a database, SQLite or PostgreSQL.

    Args:
        connect: opens a connection to it.
        owner: this process.
    """

    def __init__(self, connect: Callable[[], Connection], owner: Owner) -> None:
        self._owner = str(owner)
        self._transactions = Transactions(connect)

    @classmethod
    def open(cls, address: str | Path, owner: Owner) -> Self:
        """The journal at `address`: a file, or `postgresql://…`.

        Raises:
            NoDatabase: it cannot be opened, or a newer Headway wrote it. It is never moved aside:
                it holds answers that were paid.
        """
        setting = "batch.folder" if isinstance(address, Path) else "batch.database"
        return open_database(address, prepare, setting, lambda connect: cls(connect, owner))

    def close(self) -> None:
        """Commit what was begun, and close the connection."""
        self._transactions.close()

    @property
    def away(self) -> bool:
        """Whether the database is away: what is asked now waits until it is back."""
        return self._transactions.away

    # ---- files ------------------------------------------------------------------------------

    async def add_file(self, file: StoredFile) -> None:
        """Add a file."""
        await self._transactions.run(partial(file_rows.add, file))

    async def file(self, id: str, owner: str | None, now: float) -> StoredFile | None:
        """The file `id`; None if this owner has no such file, or it has expired."""
        owned, whose = _owned(owner)
        rows = await self._query(
            f"SELECT {FILE_COLUMNS} FROM files WHERE id = ? AND {owned} "
            "AND (expires_at IS NULL OR expires_at > ?)",
            (id, *whose, now),
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

        That may have been deleted meanwhile: who deletes files page by page goes on behind them.

        Raises:
            UnknownCursor: there is no file `after`, and there was none of late.
        """
        asked = "" if purpose is None else "AND purpose = ? "
        given = () if purpose is None else (purpose,)
        rows = await self._page(
            "files",
            FILE_COLUMNS,
            owner,
            await self._number(after, owner, "files", "former_files"),
            limit,
            order,
            f"AND (expires_at IS NULL OR expires_at > ?) {asked}",
            (now, *given),
        )
        return [StoredFile(*row) for row in rows]

    async def remove_file(self, id: str, owner: str, now: float) -> bool:
        """Delete the file `id` from the journal; returns whether this owner had it."""
        return await self._transactions.run(partial(file_rows.remove, id, owner, now))

    async def remove_expired_files(self, now: float) -> list[str]:
        """Delete expired files from the journal; returns their ids."""
        return await self._transactions.run(partial(file_rows.remove_expired, now))

    async def file_ids(self) -> set[str]:
        """The ids of all files."""
        return {id for (id,) in await self._query("SELECT id FROM files")}

    async def add_piece(self, file: str, number: int, content: bytes, now: float) -> None:
        """Keep one piece of what is in a file, counted from 0."""
        await self._transactions.run(partial(file_rows.add_piece, file, number, content, now))

    async def pieces(self, file: str) -> int:
        """How many pieces a file has; 0: it is not there."""
        return await self._transactions.run(partial(file_rows.pieces, file))

    async def piece(self, file: str, number: int) -> bytes | None:
        """One piece of what is in a file; None: it is not there."""
        return await self._transactions.run(partial(file_rows.piece, file, number))

    async def forget_pieces(self, file: str) -> None:
        """Delete what is in a file that is no more, unless a batch still reads it."""
        await self._transactions.run(partial(file_rows.forget_unused, file))

    async def forget_pieces_left_behind(self, before: float) -> None:
        """Delete what no file has, and what was written before then: a crash left it."""
        await self._transactions.run(partial(file_rows.forget_left_behind, before))

    # ---- batches, for clients ---------------------------------------------------------------

    async def add(self, batch: Batch) -> Held:
        """Add a batch, which this process holds."""
        return await self._transactions.run(partial(claims.add, batch, self._owner))

    async def batch(self, id: str, owner: str | None) -> Batch | None:
        """The batch `id`; None if this owner has no such batch."""
        owned, whose = _owned(owner)
        rows = await self._query(
            f"SELECT {BATCH_COLUMNS} FROM batches WHERE id = ? AND {owned}", (id, *whose)
        )
        return batch_of(rows[0]) if rows else None

    async def batches(self, owner: str | None, after: str | None, limit: int) -> list[Batch]:
        """Up to `limit` batches of this owner, the newest first, those after the batch `after`.

        Raises:
            UnknownCursor: there is no batch `after`.
        """
        number = await self._number(after, owner, "batches")
        rows = await self._page("batches", BATCH_COLUMNS, owner, number, limit, "desc", "", ())
        return [batch_of(row) for row in rows]

    async def ask(
        self, id: str, owner: str | None, change: Callable[[Batch], Batch]
    ) -> Batch | None:
        """Change the batch `id` as a client asks, whoever runs it; None: no such batch.

        Raises:
            WrongStatus: from `change`.
        """

        def write(connection: Connection) -> Batch | None:
            owned, whose = _owned(owner)
            rows = connection.query(
                f"SELECT {BATCH_COLUMNS} FROM batches WHERE id = ? AND {owned}{connection.lock}",
                (id, *whose),
            )
            if not rows:
                return None
            batch = change(batch_of(rows[0]))
            _update(batch, connection)
            return batch

        return await self._transactions.run(write)

    # ---- batches, for the process that runs them ----------------------------------------------

    async def claim(self, holding: Collection[str] = ()) -> list[Held]:
        """Claim the batches that nobody holds, or whose holder died.

        `holding` are those that this process knows to have.
        """
        return await self._transactions.run(partial(claims.claim, self._owner, holding))

    def renew(self) -> None:
        """Keep what this process holds for another LEASE_S. For a thread: it waits."""
        self._transactions.submit(partial(claims.renew, self._owner)).result()

    async def release(self) -> None:
        """Hold nothing any more: another process may go on at once."""
        await self._transactions.run(partial(claims.release, self._owner))

    async def plan(
        self, held: Held, lines: Sequence[PlannedLine], change: Callable[[Batch], Batch]
    ) -> Batch:
        """Write down what there is to do, then change the batch: several transactions.

        Raises:
            LostBatch: another process holds it.
        """
        await self._transactions.run(partial(line_rows.forget_plan, held))
        for begin in range(0, len(lines), PLANNED_AT_ONCE):
            some = lines[begin : begin + PLANNED_AT_ONCE]
            await self._transactions.run(partial(line_rows.plan, held, some))
        return await self.change(held, change)

    async def failed_lines(self, batch: str, most: int) -> list[bytes]:
        """The answers of the first lines that failed, as in the error file."""
        return await self._transactions.run(partial(line_rows.failed, batch, most))

    async def next_lines(self, batch: str, after: int, most: int) -> list[PlannedLine]:
        """Up to `most` lines without an answer, in their order, those behind the place `after`."""
        return await self._transactions.run(partial(line_rows.following, batch, after, most))

    async def record(self, held: Held, results: Sequence[Result]) -> Batch:
        """Write down answers; a line that has one keeps it. Returns the batch with its counts.

        Raises:
            LostBatch: another process holds it.
        """
        return await self._transactions.run(partial(line_rows.record, held, results))

    async def change(
        self, held: Held, change: Callable[[Batch], Batch], files: Sequence[StoredFile] = ()
    ) -> Batch:
        """Change a batch, and add the files that it wrote.

        Raises:
            LostBatch: another process holds it.
            WrongStatus: from `change`.
        """

        def write(connection: Connection) -> Batch:
            batch = change(claims.held(held, connection))
            for file in files:
                file_rows.add(file, connection)
            _update(batch, connection)
            return batch

        return await self._transactions.run(write)

    async def status(self, held: Held) -> Batch:
        """The batch as it is now. Raises LostBatch."""
        return await self._transactions.run(partial(claims.held, held))

    async def leftovers(self) -> list[str]:
        """Batches that are over and still have lines here."""
        rows = await self._query(
            f"SELECT id FROM batches WHERE status IN ({marks(len(OVER))}) "
            "AND EXISTS (SELECT 1 FROM lines WHERE batch = batches.id)",
            OVER,
        )
        return [id for (id,) in rows]

    async def open_batches(self) -> set[str]:
        """Batches that are not over."""
        rows = await self._query(
            f"SELECT id FROM batches WHERE status NOT IN ({marks(len(OVER))})", OVER
        )
        return {id for (id,) in rows}

    async def forget_lines(self, batch: str) -> None:
        """Delete the lines and answers of a batch that is over: its files have them."""
        for table in ("results", "lines"):
            while await self._transactions.run(partial(line_rows.forget_some, table, batch)):
                pass

    def answers(self, batch: str) -> Iterator[Answered]:
        """Every line with its answer, by line, a few at a time. For a thread: it waits."""
        after = 0
        while some := self._transactions.submit(
            partial(line_rows.answers, batch, after, ANSWERS_AT_ONCE)
        ).result():
            yield from some
            after = some[-1][0]

    async def _query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return await self._transactions.run(lambda connection: connection.query(statement, values))

    async def _number(self, id: str | None, owner: str | None, *tables: str) -> int | None:
        """Where `id` is in lists, by the first of `tables` that has it. Raises UnknownCursor."""
        if id is None:
            return None
        owned, whose = _owned(owner)
        for table in tables:
            statement = f"SELECT number FROM {table} WHERE id = ? AND {owned}"
            if rows := await self._query(statement, (id, *whose)):
                return int(rows[0][0])
        raise UnknownCursor(id)

    async def _page(
        self,
        table: str,
        columns: str,
        owner: str | None,
        after: int | None,
        limit: int,
        order: Order,
        condition: str,
        values: tuple[Any, ...],
    ) -> list[tuple[Any, ...]]:
        beyond, given = "", values
        owned, whose = _owned(owner)
        if after is not None:
            beyond = f"AND number {'>' if order == 'asc' else '<'} ? "
            given = (*values, after)
        return await self._query(
            f"SELECT {columns} FROM {table} WHERE {owned} {condition}{beyond}"
            f"ORDER BY number {order} LIMIT ?",
            (*whose, *given, limit),
        )


def _owned(owner: str | None) -> tuple[str, tuple[str, ...]]:
    """As a condition, and its values: what is this owner's; None: anybody's."""
    return ("1 = 1", ()) if owner is None else ("owner = ?", (owner,))


def _update(batch: Batch, connection: Connection) -> None:
    connection.query(f"UPDATE batches SET {_SET} WHERE id = ?", (*values_of(batch), batch.id))
