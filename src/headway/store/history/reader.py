"""Reads the request log beside the gateway: a connection and a thread of its own, with a limit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from headway.store.database import open_to_read
from headway.store.request_record import SCHEMA_VERSION

Result = TypeVar("Result")
CACHE_KB = 16_000


class HistoryError(Exception):
    """The log cannot be read; the message says why and what to do."""


class TookTooLong(HistoryError):
    """A question was given up: it would have taken too long."""


class HistoryReader:
    """Asks a request log, one question at a time.

    Readers do not wait for the log's writer, nor it for them. A question that takes too long, or
    whose client is gone, is interrupted.

    Args:
        path: the log's file.
        limit_s: how long a question may take.
    """

    def __init__(self, path: Path, limit_s: float = 5.0) -> None:
        self._path = path
        self._limit_s = limit_s
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="headway-history")
        self._turn = asyncio.Lock()
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Device and inode of the open file: a broken log is moved aside, and begun anew."""

    async def ask(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `question` returns; it runs in the reader's thread.

        Raises:
            TookTooLong: it was interrupted.
            HistoryError: there is no log, or it cannot be read.
        """
        async with self._turn:
            running = asyncio.wrap_future(self._threads.submit(self._run, question))
            try:
                async with asyncio.timeout(self._limit_s):
                    return await asyncio.shield(running)
            except (TimeoutError, asyncio.CancelledError) as error:
                await self._interrupted(running)
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise TookTooLong(
                    f"the request log did not answer within {self._limit_s:g} s; ask for a "
                    "shorter time, or for less"
                ) from None

    def close(self) -> None:
        """Close the file; nothing may be asked any more. A second call does nothing."""
        self._threads.shutdown()
        self._close()

    async def _interrupted(self, running: asyncio.Future[Result]) -> None:
        """Interrupt the question until it has ended: it may just be between two statements."""
        while not running.done():
            if self._database is not None:
                self._database.interrupt()
            await asyncio.wait([running], timeout=0.01)
        if not running.cancelled():
            running.exception()

    def _run(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return question(self._opened())
        except sqlite3.Error as error:
            self._close()
            raise HistoryError(
                f"the request log {self._path} cannot be read ({error}); see the gateway's log"
            ) from None

    def _opened(self) -> sqlite3.Connection:
        try:
            status = self._path.stat()
        except OSError as error:
            raise HistoryError(f"there is no request log {self._path} ({error})") from None
        if self._database is None or self._file != (status.st_dev, status.st_ino):
            self._close()
            self._database = _connect(self._path)
            self._file = (status.st_dev, status.st_ino)
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _connect(path: Path) -> sqlite3.Connection:
    database = open_to_read(path, timeout_s=1.0, one_thread=False)
    database.text_factory = partial(str, encoding="utf-8", errors="replace")
    database.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    found = database.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if found is None or found[0] > SCHEMA_VERSION:
        database.close()
        raise HistoryError(
            f"the request log {path} was written by a newer Headway; update this one, or set "
            "log.requests_db to another file"
        )
    return database
