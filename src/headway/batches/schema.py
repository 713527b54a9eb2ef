"""The tables of batches, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import msgspec

from headway.batches.batch import Batch, LineError, Status, Usage
from headway.store.transactions import Connection
from headway.store.versions import bring_up

FIRST = (
    """CREATE TABLE IF NOT EXISTS files (
        number {counted}, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
        purpose TEXT NOT NULL, filename TEXT NOT NULL, bytes BIGINT NOT NULL,
        created_at BIGINT NOT NULL, expires_at BIGINT)""",
    """CREATE TABLE IF NOT EXISTS batches (
        number {counted}, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
        endpoint TEXT NOT NULL, input_file_id TEXT NOT NULL, created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL, status TEXT NOT NULL, metadata TEXT,
        output_expires_s BIGINT NOT NULL, model TEXT, errors TEXT NOT NULL,
        output_file_id TEXT, error_file_id TEXT, in_progress_at BIGINT, finalizing_at BIGINT,
        completed_at BIGINT, failed_at BIGINT, expired_at BIGINT, cancelling_at BIGINT,
        cancelled_at BIGINT, total BIGINT NOT NULL, completed BIGINT NOT NULL,
        failed BIGINT NOT NULL, usage TEXT NOT NULL,
        holder TEXT, fence BIGINT NOT NULL DEFAULT 0, lease_until DOUBLE PRECISION)""",
    # What there is to do: written once, when the input has been read.
    """CREATE TABLE IF NOT EXISTS lines (
        batch TEXT NOT NULL, place BIGINT NOT NULL, line BIGINT NOT NULL, at BIGINT NOT NULL,
        bytes BIGINT NOT NULL, custom_id TEXT NOT NULL, PRIMARY KEY (batch, line)){by_key}""",
    # What is done: one row a line, which is never changed.
    """CREATE TABLE IF NOT EXISTS results (
        batch TEXT NOT NULL, line BIGINT NOT NULL, attempt INTEGER NOT NULL,
        succeeded INTEGER NOT NULL, answer {bytes} NOT NULL, PRIMARY KEY (batch, line))""",
    "CREATE UNIQUE INDEX IF NOT EXISTS lines_by_place ON lines (batch, place)",
    "CREATE INDEX IF NOT EXISTS files_by_expiry ON files (expires_at)",
    "CREATE INDEX IF NOT EXISTS batches_by_status ON batches (status)",
)
SHARED = (
    "ALTER TABLE batches ADD COLUMN paused_at BIGINT",
    # What is in files, piece by piece, where gateways share no folder: empty in SQLite.
    """CREATE TABLE pieces (
        file TEXT NOT NULL, number INTEGER NOT NULL, content {bytes} NOT NULL,
        written_at BIGINT NOT NULL, PRIMARY KEY (file, number))""",
)

PAID = ("ALTER TABLE batches ADD COLUMN key_name TEXT NOT NULL DEFAULT ''",)

# Where deleted files were in lists: who pages through one goes on from there.
FORMER = (
    """CREATE TABLE former_files (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, number BIGINT NOT NULL, until BIGINT NOT NULL)""",
    "CREATE INDEX former_files_by_end ON former_files (until)",
)

STEPS = (FIRST, SHARED, PAID, FORMER)
"""What makes each version of the one before; a step is never changed once it was released."""

BATCH_COLUMNS = ", ".join(field.name for field in fields(Batch))


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a client uploaded or a batch wrote. Times are whole seconds since 1970."""

    id: str
    owner: str
    """The tenant that it belongs to."""
    purpose: str
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None
    """None: it stays until it is deleted."""


FILE_COLUMNS = ", ".join(field.name for field in fields(StoredFile))


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """A line that has no answer yet."""

    place: int
    """In the order in which lines run."""
    line: int
    at: int
    bytes: int
    custom_id: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one line."""

    line: int
    attempt: int
    """Which of its runs, counted from 1."""
    succeeded: bool
    answer: bytes
    """The line of the output or error file."""
    usage: Usage


@dataclass(frozen=True, slots=True)
class Held:
    """A batch that this process runs, and the number of its claim."""

    batch: Batch
    fence: int


def prepare(connection: Connection) -> None:
    """Make the tables that are missing. Raises NewerDatabase."""
    bring_up(connection, "batches", STEPS)


def values_of(batch: Batch) -> tuple[Any, ...]:
    """The values of a row, in the order of BATCH_COLUMNS."""
    values = {field.name: getattr(batch, field.name) for field in fields(Batch)}
    values["status"] = str(batch.status)
    values["metadata"] = None if batch.metadata is None else json_of(dict(batch.metadata))
    values["errors"] = json_of([astuple(error) for error in batch.errors])
    values["usage"] = json_of(astuple(batch.usage))
    return tuple(values.values())


def batch_of(row: Sequence[Any]) -> Batch:
    """The batch in a row of BATCH_COLUMNS."""
    values = dict(zip((field.name for field in fields(Batch)), row, strict=True))
    values["status"] = Status(values["status"])
    if values["metadata"] is not None:
        values["metadata"] = msgspec.json.decode(values["metadata"])
    values["errors"] = tuple(LineError(*error) for error in msgspec.json.decode(values["errors"]))
    values["usage"] = Usage(*msgspec.json.decode(values["usage"]))
    return Batch(**values)


def json_of(value: Any) -> str:
    """A value as a column keeps it."""
    return msgspec.json.encode(value).decode()
