"""Rows of the request log are kept for so many days, and no longer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.store.test_request_log import ids, record, until

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


def test_many_old_rows_are_deleted_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path)
    for number in range(10):
        log.write(record(number))
    log.close()
    monkeypatch.setattr("headway.store.request_log.DELETED_AT_ONCE", 3)
    log = RequestLog(path, keep_s=30.0, batch_s=0.0)
    for number in range(10, 16):
        log.write(record(number, arrival_unix_s=time.time()))
        until(lambda number=number: log.written == number - 9)
    log.close()
    assert ids(path) == [f"r{number}" for number in range(10, 16)]
