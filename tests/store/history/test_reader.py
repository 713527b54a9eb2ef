"""Questions to the log: beside its writer, with a limit, and never to a file that is gone."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from tests.store.history.questions import die, first, own_priority
from tests.store.history.rows import add, new_log, record

from headway.store.history.child import NICE
from headway.store.history.log_file import HistoryError
from headway.store.history.reader import HistoryReader, TookTooLong

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
COUNT = "SELECT count(*) FROM requests"


def ask(statement: str) -> Callable[[sqlite3.Connection], object]:
    return partial(first, statement=statement)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "requests.db"
    database = new_log(path)
    add(database, [record(1), record(2)])
    database.close()
    return path


@pytest.fixture
async def reader(path: Path) -> AsyncIterator[HistoryReader]:
    reader = HistoryReader(path)
    yield reader
    await reader.close()


async def test_it_answers_in_a_process_of_its_own_that_gives_way(reader: HistoryReader) -> None:
    assert reader.pid is None
    assert await reader.ask(ask(COUNT)) == 2
    pid = reader.pid
    assert await reader.ask(own_priority) == os.getpriority(os.PRIO_PROCESS, 0) + NICE
    assert reader.pid == pid


async def test_the_process_ends_when_nobody_asks(path: Path) -> None:
    reader = HistoryReader(path, idle_s=0.0)
    assert await reader.ask(ask(COUNT)) == 2
    async with asyncio.timeout(30):
        while (pid := reader.pid) is not None:
            ended = pid
            await asyncio.sleep(0)
        while Path(f"/proc/{ended}").exists():
            await asyncio.sleep(0)
    assert await reader.ask(ask(COUNT)) == 2
    await reader.close()


async def test_another_process_answers_once_one_has_died(reader: HistoryReader) -> None:
    with pytest.raises(HistoryError, match="died; ask again"):
        await reader.ask(die)
    assert await reader.ask(ask(COUNT)) == 2


async def test_the_writer_does_not_wait_for_it_nor_it_for_the_writer(
    reader: HistoryReader, path: Path
) -> None:
    writer = sqlite3.connect(path)
    writer.execute("BEGIN IMMEDIATE")
    assert await reader.ask(ask(COUNT)) == 2
    writer.rollback()
    asking = asyncio.ensure_future(reader.ask(ask(ENDLESS)))
    await asyncio.sleep(0)
    add(writer, [record(3)])
    writer.close()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await reader.ask(ask(COUNT)) == 3


async def test_what_takes_too_long_is_given_up(path: Path) -> None:
    reader = HistoryReader(path, limit_s=2.0)
    with pytest.raises(TookTooLong, match="2 s"):
        await reader.ask(ask(ENDLESS))
    assert await reader.ask(ask(COUNT)) == 2
    await reader.close()


async def test_it_cannot_write(reader: HistoryReader) -> None:
    with pytest.raises(HistoryError, match="readonly"):
        await reader.ask(ask("DELETE FROM requests RETURNING 1"))


async def test_a_log_that_was_moved_aside_is_not_read_any_more(
    reader: HistoryReader, path: Path
) -> None:
    assert await reader.ask(ask(COUNT)) == 2
    for part in path.parent.glob("requests.db*"):
        part.rename(part.with_name("old-" + part.name))
    database = new_log(path)
    assert await reader.ask(ask(COUNT)) == 0
    database.close()


async def test_a_log_of_a_newer_headway_is_refused(reader: HistoryReader, path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    database.close()
    with pytest.raises(HistoryError, match="newer Headway"):
        await reader.ask(ask(COUNT))


async def test_a_log_that_is_missing_is_one_clear_error(tmp_path: Path) -> None:
    reader = HistoryReader(tmp_path / "none.db")
    with pytest.raises(HistoryError, match="there is no request log"):
        await reader.ask(ask(COUNT))
    await reader.close()
