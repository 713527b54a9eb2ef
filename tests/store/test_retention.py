"""Rows of the request log are kept for so many days, and no longer."""

from __future__ import annotations

import time
from pathlib import Path

from tests.store.history.rows import NOW_S, add, fold, new_log
from tests.store.history.rows import record as a_second_later
from tests.store.records import ids, record

from headway.store.history.retention import MOST, Retention
from headway.store.request_log import RequestLog, newest, read


def test_rows_that_are_too_old_are_deleted_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    now_s = time.time()
    log = RequestLog(path)
    for number, age_s in enumerate((100.0, 50.0, 10.0, 0.0), start=1):
        log.write(record(number, arrival_unix_s=now_s - age_s))
    log.close()
    RequestLog(path, keep_s=30.0).close()
    assert ids(path) == ["r3", "r4"]
    RequestLog(path).close()
    assert ids(path) == ["r3", "r4"]


def test_numbers_of_rows_are_never_given_again(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    for number in (1, 2):
        log = RequestLog(path, keep_s=30.0)
        log.write(record(number))
        log.close()
    RequestLog(path, keep_s=30.0).close()
    assert [(number, one.id) for number, one in read(path)] == [(2, "r2")]
    assert newest(path) == 2


def test_many_old_rows_are_deleted_a_few_at_a_time() -> None:
    database = new_log()
    add(database, [a_second_later(number) for number in range(100)])
    fold(database)
    retention = Retention(keep_s=30.0)
    left = [100]
    while retention.trim(database, NOW_S + 100.0):
        (count,) = database.execute("SELECT count(*) FROM requests").fetchone()
        assert 0 < left[-1] - count <= MOST
        left.append(count)
    assert len(left) > 1
    assert database.execute("SELECT min(number) FROM requests").fetchone() == (71,)


def test_rows_that_the_rollups_do_not_have_yet_are_not_deleted() -> None:
    database = new_log()
    add(database, [a_second_later(number) for number in range(10)])
    assert not Retention(keep_s=30.0).trim(database, NOW_S + 1000.0)
    assert database.execute("SELECT count(*) FROM requests").fetchone() == (10,)


def test_minutes_and_hours_of_rollups_go_and_days_stay() -> None:
    database = new_log()
    add(database, [a_second_later(0)])
    fold(database)
    levels = "SELECT DISTINCT level FROM rollups ORDER BY level"
    for days, left in ((6, [60, 3600, 86400]), (8, [3600, 86400]), (101, [86400])):
        Retention(keep_s=30.0).trim(database, NOW_S + days * 86400.0)
        assert [level for (level,) in database.execute(levels)] == left


def test_a_clock_that_jumps_back_deletes_nothing() -> None:
    database = new_log()
    add(database, [a_second_later(0), a_second_later(86400)])
    fold(database)
    assert not Retention(keep_s=3600.0).trim(database, NOW_S - 86400.0)
    assert database.execute("SELECT count(*) FROM requests").fetchone() == (2,)
