"""Runs functions on a database in a thread of its own; those that wait share a commit.

A commit that is safe from a power failure waits for the disk, some 2 ms. What ends at about
the same time waits for one of them together, so that a busy process pays a fraction of it each.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

logger = logging.getLogger(__name__)

MOST_TOGETHER = 200
"""Functions in one transaction: the first of them waits for the last."""

RETRY_S = 1.0
"""Between two tries to connect again after the connection was lost."""
LAZY_S = 0.02
"""How long something waits for a commit to share if nobody waits for it."""

Result = TypeVar("Result")


class Connection(Protocol):
    """A connection to a database, used by one thread."""

    lock: str
    """What makes a SELECT lock the rows that it finds until the end of the transaction."""
    skip_locked: str
    """What makes it leave out rows that others have locked."""
    one_machine: bool
    """Whether all who share the database are processes of one machine."""
    words: Mapping[str, str]
    """What tables are made of in its SQL: `bytes`, a type; `counted`, a key that counts rows;
    `by_key`, which keeps a table in the order of its key."""

    @property
    def age_s(self) -> float:
        """Seconds since it was made."""
        ...

    def is_gone(self, error: Exception) -> bool:
        """Whether the connection is gone: the functions run again on a new one."""
        ...

    def may_pass(self, error: Exception) -> bool:
        """Whether the same may go well later: the disk is full, others hold locks."""
        ...

    def now(self) -> float:
        """Seconds since 1970, by a clock that all who share the database have in common."""
        ...

    def begin(self) -> None: ...
    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement's result; `?` marks its values."""
        ...

    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


def marks(count: int) -> str:
    """Placeholders for `count` values of a query."""
    return ", ".join("?" * count)


class Closed(RuntimeError):
    """The journal was closed."""


class Refused(Exception):
    """The database refused a transaction, for a reason that does not pass."""


class Transactions:
    """The thread that owns the connection.

    Args:
        connect: opens the connection, in that thread.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._waiting: deque[tuple[Callable[[Connection], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._hurry = False
        self._closed = False
        self.away = False
        """Whether the server is away: what is asked now waits until it is back."""
        self._connection = connect()
        self._thread = threading.Thread(target=self._run, name="headway-journal", daemon=True)
        self._thread.start()

    async def run(self, function: Callable[[Connection], Result]) -> Result:
        """What `function` returns, once its writes are committed.

        `function` shares its transaction: it raises only before it has written.

        Raises:
            Closed: the journal was closed before.
            Refused: the database did not take it.
        """
        return await asyncio.wrap_future(self.submit(function))

    def submit(
        self, function: Callable[[Connection], Result], *, hurry: bool = True
    ) -> Future[Result]:
        """As `run`, for threads.

        Args:
            function: what to run.
            hurry: whether somebody waits for it. Otherwise it shares the commit of the next one,
                or has its own after LAZY_S.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise Closed("the journal is closed")
            self._waiting.append((function, future))
            self._hurry = self._hurry or hurry
            self._changed.notify()
        return future

    def close(self) -> None:
        """Commit what waits, and close the connection."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                self._changed.wait_for(lambda: self._hurry or self._closed, timeout=LAZY_S)
                if not self._waiting:
                    break
                batch = [
                    self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))
                ]
                self._hurry = bool(self._waiting)  # the rest has waited
            batch = [one for one in batch if one[1].set_running_or_notify_cancel()]
            self._commit(batch)
        self._connection.close()

    def _commit(self, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        while True:
            outcomes: list[tuple[Any, BaseException | None]] = []
            try:
                self._connection.begin()
                for function, _ in batch:
                    try:
                        outcomes.append((function(self._connection), None))
                    except Exception as error:
                        if _is_of_database(error):
                            raise
                        outcomes.append((None, error))
                self._connection.commit()
            except Exception as error:
                if not self._goes_on_after(error, batch):
                    return
                continue
            for (_, future), (result, failed) in zip(batch, outcomes, strict=True):
                if failed is None:
                    future.set_result(result)
                else:
                    future.set_exception(failed)
            return

    def _goes_on_after(
        self, error: Exception, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]
    ) -> bool:
        """Whether the batch is to be tried again as it is; otherwise it was dealt with."""
        try:
            self._connection.rollback()
        except Exception:
            logger.debug("rolling back", exc_info=True)
        if self._connection.is_gone(error):
            if self._connect_again(error):
                return True
        elif len(batch) > 1:  # one of them is the culprit, or locks what another process wants
            for one in batch:
                self._commit([one])
            return False
        elif self._connection.may_pass(error) and not self._closed:
            logger.warning("the journal cannot be written, and is tried again: %s", error)
            with self._changed:
                self._changed.wait_for(lambda: self._closed, timeout=RETRY_S)
            return True
        _fail(batch, error)
        return False

    def _connect_again(self, error: Exception) -> bool:
        """Whether there is a connection again; waits until there is, or until it is closed."""
        logger.warning("the journal's database is away, and is tried again: %s", error)
        self.away = True
        while not self._closed:
            try:
                self._connection.close()
            except Exception:
                logger.debug("closing a lost connection", exc_info=True)
            try:
                self._connection = self._connect()
            except Exception as failed:
                logger.debug("connecting: %s", failed)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, timeout=RETRY_S)
            else:
                logger.warning("the journal's database is back")
                self.away = False
                return True
        return False


def _is_of_database(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("sqlite3", "psycopg")


def _fail(batch: list[tuple[Callable[[Connection], Any], Future[Any]]], error: Exception) -> None:
    for _, future in batch:
        refused = Refused(str(error))
        refused.__cause__ = error
        future.set_exception(refused)
