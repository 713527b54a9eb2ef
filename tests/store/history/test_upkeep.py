"""What the log's own thread does beside writing: rollups and indexes, in logs old and new."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.history.rows import add, new_log, record
from tests.store.records import until

from headway.store.history import rollups
from headway.store.history.upkeep import Upkeep
from headway.store.request_log import RequestLog


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.store.history.upkeep.FOLD_EVERY_S", 0.01)


def folded_to(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return rollups.folded_to(database)


def test_what_is_written_is_in_the_rollups_a_moment_later(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path, batch_s=0.0)
    for number in range(1, 4):
        log.write(record(number, arrival_unix_s=time.time()))
        until(lambda number=number: folded_to(path) == number)
    log.close()


def test_a_log_from_before_gets_rollups_and_indexes(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    database = new_log(path)
    add(database, [record(number) for number in range(10)])
    with database:
        for name in ("rollups", "rollup_groups"):
            database.execute(f"DROP TABLE {name}")
        for name in ("requests_by_id", "requests_by_program", "requests_by_key"):
            database.execute(f"DROP INDEX IF EXISTS {name}")
    log = RequestLog(path)
    until(lambda: folded_to(path) == 10)
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index'"

    def names() -> set[str]:
        return {name for (name,) in database.execute(indexes)}

    until(lambda: {"requests_by_id", "requests_by_program", "requests_by_key"} <= names())
    log.close()
    database.close()


def test_what_fails_is_tried_again_later_with_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.store.history.upkeep.AGAIN_S", 0.0)
    database = new_log()
    add(database, [record(1)])
    database.execute("ALTER TABLE rollups RENAME TO hidden")
    upkeep = Upkeep(Path("requests.db"), None)
    for _ in range(3):
        upkeep.step(database)
    assert caplog.text.count("its rollups and its retention wait") == 1
    database.execute("ALTER TABLE hidden RENAME TO rollups")
    until(lambda: upkeep.step(database) or rollups.folded_to(database) == 1)
    assert upkeep.next_s() >= 0.0
