"""Responses that clients can retrieve and continue, in a SQLite file.

A response is stored with its input, so the file holds prompts and answers.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from headway.store.database import move_aside, open_sqlite

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created_unix_s REAL NOT NULL,
    previous_id TEXT,
    bytes INTEGER NOT NULL,
    input BLOB NOT NULL,
    response BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS responses_by_age ON responses (created_unix_s);
"""
INSERT = """
INSERT INTO responses (id, owner, created_unix_s, previous_id, input, response, bytes)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
CHAIN = """
WITH RECURSIVE chain (id, depth) AS (
    SELECT ?, 0
    UNION ALL
    SELECT responses.previous_id, depth + 1 FROM chain JOIN responses USING (id)
    WHERE responses.previous_id IS NOT NULL AND responses.owner = ? AND depth < ?
)
SELECT responses.id, owner, created_unix_s, previous_id, input, response
FROM chain JOIN responses USING (id) WHERE owner = ? ORDER BY depth
"""
TOO_OLD = "DELETE FROM responses WHERE created_unix_s < ?"
TOO_MANY = """
DELETE FROM responses WHERE number <= (
    SELECT max(number) FROM (
        SELECT number, sum(bytes) OVER (ORDER BY number DESC) AS bytes FROM responses
    ) WHERE bytes > ?
)
"""
CHECKED_EVERY = 100
"""Writes between two clean-ups of old and excess responses."""
MOST_WAITING_BYTES = 64 * 1024 * 1024
"""Size of responses that may wait for the disk; further ones are dropped."""
LONGEST_CHAIN = 10_000

_Found = TypeVar("_Found")


class KeptResponse(msgspec.Struct, frozen=True):
    """One response and its input."""

    id: str
    owner: str
    """Only this owner finds it."""
    created_unix_s: float
    previous_id: str | None
    """The response that it continues."""
    input: bytes
    """The items of its request, as JSON; not those of earlier ones."""
    response: bytes
    """The response object, as JSON."""


class ConversationTooLarge(Exception):
    """A conversation has more bytes than the caller allows."""


class ResponsesError(Exception):
    """The file cannot be opened; the message says why and what to do."""


class ResponseStore:
    """One file of responses, with a thread of its own.

    The thread works in order, so later calls find a response that was kept before.

    Args:
        path: the SQLite file; its folder is created if missing.
        max_age_s: older responses are deleted.
        max_bytes: of requests and responses together; the oldest are deleted beyond it.
        clock: seconds since 1970.

    Raises:
        ResponsesError: the file can be neither opened nor created.

    A database that is corrupt, or that another version of Headway wrote, is moved aside with a
    warning. If the disk fills up later, responses are lost with one warning, but never a request.
    """

    def __init__(
        self,
        path: Path,
        max_age_s: float,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.dropped = 0
        """Responses that could not be kept."""
        self._max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._handed_bytes = 0
        self._taken_bytes = 0
        """Bytes that the thread has taken over; each of the two counters has one writer."""
        self._unchecked = CHECKED_EVERY
        self._warned = False
        self._database = self._open()
        self._thread = ThreadPoolExecutor(1, "headway-responses")

    def keep(self, response: KeptResponse) -> None:
        """Queue one response for writing. Never blocks and never raises."""
        if self._handed_bytes - self._taken_bytes > MOST_WAITING_BYTES:
            self._lost("they come faster than the disk can write")
            return
        self._handed_bytes += _size(response)
        self._thread.submit(self._insert, response)

    async def conversation(self, id: str, owner: str, most_bytes: int) -> list[KeptResponse] | None:
        """The response `id` and all that it continues, oldest first.

        None if this owner has no such response, or if an earlier one is gone.

        Raises:
            ConversationTooLarge: it has more than `most_bytes`.
        """

        def chain() -> list[KeptResponse]:
            found: list[KeptResponse] = []
            left = most_bytes
            for row in self._database.execute(CHAIN, (id, owner, LONGEST_CHAIN, owner)):
                found.append(KeptResponse(*row))
                left -= _size(found[-1])
                if left < 0:
                    raise ConversationTooLarge
            return found

        found = await self._ask(chain)
        return found[::-1] if found and found[-1].previous_id is None else None

    async def find(self, id: str, owner: str) -> KeptResponse | None:
        """The response `id`; None if this owner has no such response."""
        rows = await self._ask(
            lambda: self._database.execute(CHAIN, (id, owner, 0, owner)).fetchall()
        )
        return KeptResponse(*rows[0]) if rows else None

    async def forget(self, id: str, owner: str) -> bool:
        """Delete the response `id`; returns whether this owner had it."""

        def delete() -> bool:
            with self._database:
                deleted = self._database.execute(
                    "DELETE FROM responses WHERE id = ? AND owner = ?", (id, owner)
                )
            return deleted.rowcount > 0

        return await self._ask(delete)

    def close(self) -> None:
        """Write what is queued and close the file. A second call does nothing."""
        self._thread.shutdown()
        self._database.close()

    async def _ask(self, question: Callable[[], _Found]) -> _Found:
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    # ---- in the thread ----------------------------------------------------------------------

    def _insert(self, response: KeptResponse) -> None:
        size = _size(response)
        self._taken_bytes += size
        row = (*msgspec.structs.astuple(response), size)
        try:
            try:
                self._write(row)
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:
                    raise
                self._database.close()  # exactly this class means a corrupt file
                move_aside(self.path, str(error), "response store")
                self._database = self._open()
                self._write(row)
        except (sqlite3.Error, ResponsesError, OSError) as error:
            self._lost(str(error))
        else:
            self._warned = False

    def _write(self, row: tuple[object, ...]) -> None:
        with self._database:
            self._database.execute(INSERT, row)
            self._unchecked += 1
            if self._unchecked >= CHECKED_EVERY:
                self._unchecked = 0
                self._database.execute(TOO_OLD, (self._clock() - self._max_age_s,))
                self._database.execute(TOO_MANY, (self._max_bytes,))

    def _lost(self, why: str) -> None:
        self.dropped += 1
        if not self._warned:
            logger.warning(
                "responses cannot be kept in %s (%s): serving continues, but previous_response_id "
                "will not find them",
                self.path,
                why,
            )
        self._warned = True

    def _open(self) -> sqlite3.Connection:
        try:
            return open_sqlite(self.path, SCHEMA, SCHEMA_VERSION, "response store")
        except (sqlite3.Error, OSError) as error:
            raise ResponsesError(
                f"response store {self.path} cannot be opened ({error}): free disk space or make "
                "the folder writable, or set responses.max_age_days to 0 to keep none"
            ) from None


def _size(response: KeptResponse) -> int:
    return len(response.input) + len(response.response)
