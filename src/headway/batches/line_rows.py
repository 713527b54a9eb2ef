"""The lines of batches: what there is to do, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

from headway.batches.batch import Batch
from headway.batches.claims import held
from headway.batches.schema import Held, PlannedLine, Result, json_of
from headway.store.transactions import Connection, marks

AT_ONCE = 100
"""Rows in one statement."""
DELETED_AT_ONCE = 2000
"""Rows that one transaction deletes."""

Answered = tuple[int, str, bool | None, bytes | None]
"""Line, custom_id, success and answer of a line; None: it has no answer."""


def forget_plan(claim: Held, connection: Connection) -> None:
    """Delete what was planned of a batch. Raises LostBatch."""
    held(claim, connection)
    connection.query("DELETE FROM lines WHERE batch = ?", (claim.batch.id,))


def plan(claim: Held, lines: Sequence[PlannedLine], connection: Connection) -> None:
    """Write down what there is to do. Raises LostBatch."""
    held(claim, connection)
    for begin in range(0, len(lines), AT_ONCE):
        some = lines[begin : begin + AT_ONCE]
        connection.query(
            "INSERT INTO lines (batch, place, line, at, bytes, custom_id) "
            f"VALUES {_rows(6, len(some))}",
            [value for line in some for value in (claim.batch.id, *astuple(line))],
        )


def following(batch: str, after: int, most: int, connection: Connection) -> list[PlannedLine]:
    """Up to `most` lines without an answer, in their order, those behind the place `after`."""
    rows = connection.query(
        "SELECT place, line, at, bytes, custom_id FROM lines WHERE batch = ? AND place > ? "
        "AND NOT EXISTS (SELECT 1 FROM results WHERE results.batch = lines.batch "
        "AND results.line = lines.line) ORDER BY place LIMIT ?",
        (batch, after, most),
    )
    return [PlannedLine(*row) for row in rows]


def record(claim: Held, results: Sequence[Result], connection: Connection) -> Batch:
    """Write down answers; a line that has one keeps it. Raises LostBatch.

    Returns:
        The batch with its new counts.
    """
    batch = held(claim, connection)
    new: set[int] = set()
    for begin in range(0, len(results), AT_ONCE):
        some = results[begin : begin + AT_ONCE]
        added = connection.query(
            "INSERT INTO results (batch, line, attempt, succeeded, answer) "
            f"VALUES {_rows(5, len(some))} ON CONFLICT DO NOTHING RETURNING line",
            [
                value
                for one in some
                for value in (batch.id, one.line, one.attempt, int(one.succeeded), one.answer)
            ],
        )
        new.update(line for (line,) in added)
    first = {one.line: one for one in reversed(results)}
    counted = [first[line] for line in sorted(new)]
    completed = sum(one.succeeded for one in counted)
    batch = replace(
        batch,
        completed=batch.completed + completed,
        failed=batch.failed + len(counted) - completed,
        usage=sum((one.usage for one in counted), batch.usage),
    )
    connection.query(
        "UPDATE batches SET completed = ?, failed = ?, usage = ? WHERE id = ?",
        (batch.completed, batch.failed, json_of(astuple(batch.usage)), batch.id),
    )
    return batch


def answers(batch: str, after: int, most: int, connection: Connection) -> list[Answered]:
    """Up to `most` lines with their answers, by line, those behind the line `after`."""
    return [
        (line, custom_id, succeeded, None if answer is None else bytes(answer))
        for line, custom_id, succeeded, answer in connection.query(
            "SELECT lines.line, custom_id, succeeded, answer FROM lines LEFT JOIN results "
            "ON results.batch = lines.batch AND results.line = lines.line "
            "WHERE lines.batch = ? AND lines.line > ? ORDER BY lines.line LIMIT ?",
            (batch, after, most),
        )
    ]


def failed(batch: str, most: int, connection: Connection) -> list[bytes]:
    """The answers of the first `most` lines that failed, by line."""
    rows = connection.query(
        "SELECT answer FROM results WHERE batch = ? AND succeeded = 0 ORDER BY line LIMIT ?",
        (batch, most),
    )
    return [bytes(answer) for (answer,) in rows]


def forget_some(table: str, batch: str, connection: Connection) -> bool:
    """Delete some of the rows that `table` has of a batch; returns whether there were any."""
    return bool(
        connection.query(
            f"DELETE FROM {table} WHERE batch = ? AND line IN "
            f"(SELECT line FROM {table} WHERE batch = ? LIMIT {DELETED_AT_ONCE}) RETURNING 1",
            (batch, batch),
        )
    )


def _rows(count: int, rows: int) -> str:
    return ", ".join([f"({marks(count)})"] * rows)
