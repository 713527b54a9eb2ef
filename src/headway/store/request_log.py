"""The log of requests: one row each in a SQLite file, written off the hot path.

It is the operator's record of what was served, and the predictor's training data. So it holds the
facts at arrival, the prediction and the result. Prompts are only stored if the operator asks for
them.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from headway.store.cost_days import SCHEMA as COST_DAYS
from headway.store.database import move_aside, open_sqlite, open_to_read
from headway.store.history.life import Life
from headway.store.history.rollups import SCHEMA as ROLLUPS
from headway.store.history.upkeep import Upkeep
from headway.store.request_record import (
    ADDED,
    FIELDS,
    INDEX_OF_ADDED,
    SCHEMA,
    SCHEMA_VERSION,
    RequestRecord,
)

logger = logging.getLogger(__name__)

INSERT = f"INSERT INTO requests ({', '.join(FIELDS)}, life) VALUES "
ROW = f"({', '.join('?' * len(FIELDS))}, ?)"
ROWS_AT_ONCE = 64
"""Rows per statement. SQLite releases the GIL while it executes one; with a statement per row, it
would have to be taken back from the event loop for every row."""
COUNT = (
    "SELECT count(*) FROM requests WHERE model = ? AND outcome = 'finished' AND output_tokens > 0"
)
FEATURES, PROMPT = FIELDS.index("features"), FIELDS.index("prompt")
CHECKPOINT_PAGES = 100
"""Pages that a commit copies from the write-ahead log to the file: SQLite's 1,000 take 35 ms."""
DESCRIBED_AT_ONCE = 64
"""Prompts that may wait for their features; further records get none. At such a rate serving
matters more, and thousands of request bodies would fill the memory."""

_Waiting = tuple[RequestRecord, Any, Life | None]
"""A record, the prompt whose features it gets, and its life."""
_Row = tuple[RequestRecord, Life | None]
MakeFeatures = Callable[[Sequence[Any]], Sequence[tuple[int, ...]]]
"""Makes the features of several prompts; a batch costs a tenth of one by one."""


class RequestLogError(Exception):
    """The log cannot be opened or read; the message says why and what to do."""


class RequestLog:
    """Writer of one log file, with a thread of its own.

    Args:
        path: the SQLite file; its folder is created if missing.
        keep_prompts: whether to store the prompt's text.
        make_features: makes the features of the prompts that `write` gets, in the log's own
            thread; None: no features.
        keep_s: older rows are deleted; None: none are.
        batch_s: how long to collect records for one commit; a crash loses at most these.
        max_waiting: records that may wait for the disk; further ones are dropped and counted.

    Raises:
        RequestLogError: the file can be neither opened nor created.

    A database that is corrupt, or that a newer Headway wrote, is moved aside with a warning.
    If the disk fills up later, records are lost with one warning, but never a request.
    """

    def __init__(
        self,
        path: Path,
        keep_prompts: bool = False,
        make_features: MakeFeatures | None = None,
        *,
        keep_s: float | None = None,
        batch_s: float = 0.25,
        max_waiting: int = 10_000,
    ) -> None:
        self.path = path
        self._upkeep = Upkeep(path, keep_s)
        self.keep_prompts = keep_prompts
        self.written = 0
        """Records on disk."""
        self.dropped = 0
        """Records lost to a full disk or a full queue."""
        self._make_features = make_features
        self._batch_s = batch_s
        self._max_waiting = max_waiting
        self._waiting: queue.SimpleQueue[_Waiting | Future[None] | None]
        self._waiting = queue.SimpleQueue()
        self._closing = threading.Event()
        self._hurry = threading.Event()
        """Somebody waits for what is queued."""
        self._warned = False
        self._database = open_log(path)
        self._thread = threading.Thread(target=self._run, name="headway-request-log", daemon=True)
        self._thread.start()

    def write(self, record: RequestRecord, prompt: Any = None, life: Life | None = None) -> None:
        """Queue one record for writing. Never blocks and never raises.

        Args:
            record: of a finished request.
            prompt: input of `make_features`; None: `record` keeps its own features.
            life: what History shows of it beside the record.
        """
        waiting = self._waiting.qsize()
        if self._closing.is_set() or waiting >= self._max_waiting:
            self.dropped += 1
        else:
            self._waiting.put((record, prompt if waiting < DESCRIBED_AT_ONCE else None, life))

    def mark(self) -> Future[None]:
        """Return what is done once all that was queued before is on disk, or lost to a full one."""
        mark: Future[None] = Future()
        mark.set_running_or_notify_cancel()  # so that nobody can cancel it
        if self._closing.is_set():
            mark.set_result(None)
        else:
            self._waiting.put(mark)
            self._hurry.set()
        return mark

    def close(self) -> None:
        """Write what is queued and close the file. A second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._waiting.put(None)
        self._hurry.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._upkeep.step(self._database)
            try:
                first = self._waiting.get(timeout=self._upkeep.next_s())
            except queue.Empty:
                continue
            if first is None:
                break
            self._hurry.wait(self._batch_s)
            self._hurry.clear()
            taken = [first]
            for _ in range(self._waiting.qsize()):
                if (more := self._waiting.get()) is None:
                    self._waiting.put(None)  # ends the loop after this batch
                    break
                taken.append(more)
            batch = [one for one in taken if not isinstance(one, Future)]
            if batch:
                lives = [life for _, _, life in batch]
                self._commit(list(zip(self._described(batch), lives, strict=True)))
            for mark in taken:
                if isinstance(mark, Future):
                    mark.set_result(None)
        self._database.close()

    def _described(self, batch: Sequence[_Waiting]) -> list[RequestRecord]:
        """The records, with the features of their prompts."""
        described = [record for record, _, _ in batch]
        places = [place for place, (_, prompt, _) in enumerate(batch) if prompt is not None]
        if self._make_features is None or not places:
            return described
        try:
            made = self._make_features([batch[place][1] for place in places])
        except Exception:
            if len(batch) > 1:  # one bad prompt must not affect the others
                return [record for entry in batch for record in self._described([entry])]
            logger.exception("request %r has no features in the log", described[0].id)
            return described  # keep the row
        for place, features in zip(places, made, strict=True):
            described[place] = msgspec.structs.replace(described[place], features=features)
        return described

    def _commit(self, batch: list[_Row]) -> None:
        try:
            try:
                written = self._insert(batch)
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:
                    raise
                self._database.close()  # exactly this class means a corrupt file
                move_aside(self.path, str(error), "request log")
                self._database = open_log(self.path)
                self._upkeep.begin()
                written = self._insert(batch)
        except (sqlite3.Error, RequestLogError, OSError) as error:
            self.dropped += len(batch)
            if not self._warned:
                logger.warning(
                    "request log %s cannot be written (%s): serving continues without it; free "
                    "disk space or set log.requests_db",
                    self.path,
                    error,
                )
            self._warned = True
        else:
            self.written += written
            self._upkeep.written()
            self.dropped += len(batch) - written
            if self._warned:
                logger.warning("request log %s is written again", self.path)
            self._warned = False

    def _insert(self, batch: Sequence[_Row]) -> int:
        """Commit the batch; returns the number of rows."""
        with self._database:
            return sum(
                self._insert_some(batch[begin : begin + ROWS_AT_ONCE])
                for begin in range(0, len(batch), ROWS_AT_ONCE)
            )

    def _insert_some(self, rows: Sequence[_Row]) -> int:
        try:
            values = [value for row in rows for value in self._row(*row)]
            self._database.execute(INSERT + ", ".join([ROW] * len(rows)), values)
        except (OverflowError, ValueError) as error:  # in one of the rows
            if len(rows) > 1:
                return sum(self._insert_some([row]) for row in rows)
            logger.warning("request %r has no row in the log: %s", rows[0][0].id, error)
            return 0
        return len(rows)

    def _row(self, record: RequestRecord, life: Life | None) -> list[Any]:
        row = list(msgspec.structs.astuple(record))
        row[FEATURES] = msgspec.json.encode(record.features).decode()
        if not self.keep_prompts:
            row[PROMPT] = None
        row.append(None if life is None else msgspec.json.encode(life).decode())
        return row


def read(path: Path, after: int = 0) -> Iterator[tuple[int, RequestRecord]]:
    """The records of a log in the order of writing, each with its number.

    Skips invalid rows, with one warning that counts them.

    Args:
        path: the SQLite file; a gateway may be writing to it.
        after: only return records with a larger number, to continue an earlier reading.

    Raises:
        RequestLogError: the file is missing or not a request log.
    """
    damaged = 0
    if not path.exists():
        raise RequestLogError(
            f"there is no request log {path}; name the file in log.requests_db of a gateway"
        )
    try:
        with closing(open_to_read(path)) as database:
            database.text_factory = _text  # so that invalid text does not end the reading
            fields = _columns(database)
            for number, *row in database.execute(
                f"SELECT number, {', '.join(fields)} FROM requests WHERE number > ? "
                "ORDER BY number",
                (after,),
            ):
                try:
                    record = _record(fields, row)
                except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
                    damaged += 1
                else:
                    yield number, record
    except sqlite3.Error as error:
        raise RequestLogError(
            f"{path} is no request log that this version of Headway reads ({error}); name the file "
            "in log.requests_db of a gateway"
        ) from None
    if damaged:
        logger.warning(
            "request log %s: %d damaged rows were left out; the rest is used", path, damaged
        )


_text = partial(str, encoding="utf-8", errors="replace")


def _columns(database: sqlite3.Connection) -> list[str]:
    """The fields of a record, without those that an older log does not have."""
    there = _there(database)
    return [name for name in FIELDS if name not in ADDED or name in there]


def _there(database: sqlite3.Connection) -> set[str]:
    return {row[1] for row in database.execute("PRAGMA table_info(requests)")}


def _record(fields: Sequence[str], row: list[Any]) -> RequestRecord:
    row[FEATURES] = msgspec.json.decode(row[FEATURES])
    return msgspec.convert(dict(zip(fields, row, strict=True)), RequestRecord)


def newest(path: Path) -> int:
    """The number of the newest record of a log; 0 if there is no record or no log."""
    try:
        with closing(open_to_read(path)) as database:
            (number,) = database.execute("SELECT max(number) FROM requests").fetchone()
            return int(number or 0)
    except sqlite3.Error:
        return 0


def answers_of(path: Path, model: str) -> int:
    """Number of non-empty answers of `model` in a log; 0 if there is no log."""
    try:
        with closing(open_to_read(path)) as database:
            (count,) = database.execute(COUNT, (model,)).fetchone()
            return int(count)
    except sqlite3.Error:
        return 0


def open_log(path: Path) -> sqlite3.Connection:
    """A connection that writes to the log at `path`; creates the log if it is missing.

    Raises:
        RequestLogError: it can be neither opened nor created.
    """
    try:
        database = open_sqlite(path, SCHEMA + ROLLUPS + COST_DAYS, SCHEMA_VERSION, "request log")
        database.text_factory = _text
        database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        with database:
            for name in set(ADDED) - _there(database):
                database.execute(f"ALTER TABLE requests ADD COLUMN {name} {ADDED[name]}")
            database.execute(INDEX_OF_ADDED)
        return database
    except (sqlite3.Error, OSError) as error:
        if "no such column" in str(error):
            raise RequestLogError(
                f"{path} is no request log that this version of Headway can go on with ({error}); "
                "move it away, or set log.requests_db to another path"
            ) from None
        raise RequestLogError(
            f"request log {path} cannot be opened ({error}): free disk space or make the folder "
            "writable, or set log.requests_db to another path, or to null for no log"
        ) from None
