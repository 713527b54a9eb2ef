"""The request log: complete, off the hot path, and never in the way of serving."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.store.records import ids, record, until

from headway.store.request_log import (
    DESCRIBED_AT_ONCE,
    RequestLog,
    answers_of,
    newest,
    read,
)
from headway.store.request_record import ADDED, FIELDS


def test_who_waits_for_the_log_finds_what_was_queued_on_disk_without_delay(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path, batch_s=60.0)
    for number in range(3):
        log.write(record(number))
        log.mark().result(10.0)
        assert ids(path) == [f"r{one}" for one in range(number + 1)]
    log.mark().result(10.0)  # nothing is queued
    log.close()
    log.mark().result(10.0)


def test_records_survive_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "requests.db"
    full = record(
        1,
        tenant="acme",
        program="run-7",
        model="smol",
        backend="embedded",
        policy="srpt",
        prompt_tokens=12,
        cached_tokens=4,
        max_tokens=64,
        predicted_tokens=31.5,
        output_tokens=40,
        queue_ms=1.25,
        ttft_ms=40.0,
        total_ms=900.0,
        preemptions=2,
        reason="",
        template="abc",
        features=(1, 2**63, 3),
        prompt="secret",
        prompt_name="greet",
        prompt_version=2,
    )
    log = RequestLog(path, keep_prompts=True)
    log.write(full)
    log.write(record(2))
    log.close()
    assert [one for _, one in read(path)] == [full, record(2)]
    assert (log.written, log.dropped) == (2, 0)


def test_every_field_of_a_record_has_its_column(tmp_path: Path) -> None:
    RequestLog(tmp_path / "requests.db").close()
    with sqlite3.connect(tmp_path / "requests.db") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(requests)")]
    assert columns == ["number", *FIELDS, "life"]


INDICES = """
SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'requests' AND sql IS NOT NULL
"""


def test_a_log_from_before_a_column_is_read_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path)
    log.write(record(1))
    log.close()
    with sqlite3.connect(path) as database:
        for (index,) in database.execute(INDICES).fetchall():
            database.execute(f"DROP INDEX {index}")
        for name in ADDED:
            database.execute(f"ALTER TABLE requests DROP COLUMN {name}")
    assert [one for _, one in read(path)] == [record(1)]
    log = RequestLog(path)
    log.write(record(2, prompt_name="greet", prompt_version=2))
    log.close()
    found = [(one.id, one.prompt_name, one.prompt_version) for _, one in read(path)]
    assert found == [(record(1).id, "", None), (record(2).id, "greet", 2)]


def test_prompts_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.db")
    log.write(record(1, prompt="a secret"))
    log.close()
    assert [one.prompt for _, one in read(tmp_path / "requests.db")] == [None]
    assert b"a secret" not in (tmp_path / "requests.db").read_bytes()


def test_features_are_made_together_by_the_logs_own_thread(tmp_path: Path) -> None:
    calls: list[tuple[str, list[str]]] = []

    def make(prompts: Sequence[str]) -> list[tuple[int, ...]]:
        calls.append((threading.current_thread().name, list(prompts)))
        return [(len(prompt),) for prompt in prompts]

    log = RequestLog(tmp_path / "requests.db", make_features=make, batch_s=60.0)
    log.write(record(1), "a")
    log.write(record(2, features=(7, 8)))
    log.write(record(3), "bcd")
    log.close()
    features = [one.features for _, one in read(tmp_path / "requests.db")]
    assert features == [(1,), (7, 8), (3,)]
    assert calls == [("headway-request-log", ["a", "bcd"])]


def test_a_prompt_without_features_costs_no_row_and_no_others_features(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def make(prompts: Sequence[str]) -> list[tuple[int, ...]]:
        if "bad" in prompts:
            raise RuntimeError("no features today")
        return [(1, 2) for _ in prompts]

    log = RequestLog(tmp_path / "requests.db", make_features=make, batch_s=60.0)
    for number, prompt in enumerate(["good", "bad", None, "good"]):
        log.write(record(number), prompt)
    log.close()
    features = [one.features for _, one in read(tmp_path / "requests.db")]
    assert features == [(1, 2), (), (), (1, 2)]
    assert caplog.text.count("has no features in the log") == 1
    assert "'r1' has no features" in caplog.text


def test_no_more_prompts_wait_than_get_features(tmp_path: Path) -> None:
    """A slow disk keeps thousands of records in memory, but not the bodies of their requests."""
    log = RequestLog(
        tmp_path / "requests.db",
        make_features=lambda prompts: [(1,) for _ in prompts],
        batch_s=60.0,
    )
    log.write(record(0), "prompt")
    until(lambda: log._waiting.empty())  # the writer holds the first one and gathers
    for number in range(1, 2 * DESCRIBED_AT_ONCE):
        log.write(record(number), "prompt")
    log.close()
    features = [one.features for _, one in read(tmp_path / "requests.db")]
    assert features.count((1,)) == 1 + DESCRIBED_AT_ONCE
    assert len(features) == 2 * DESCRIBED_AT_ONCE


def test_close_writes_what_waits_and_can_be_called_twice(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=60.0)
    for number in range(1000):
        log.write(record(number))
    started = time.monotonic()
    log.close()
    log.close()
    assert time.monotonic() - started < 10.0
    assert ids(tmp_path / "requests.db") == [f"r{number}" for number in range(1000)]
    log.write(record(1000))
    assert log.dropped == 1


def test_a_second_run_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    for number in range(2):
        log = RequestLog(tmp_path / "requests.db")
        log.write(record(number))
        log.close()
    assert ids(tmp_path / "requests.db") == ["r0", "r1"]
    (_, first), _ = list(read(tmp_path / "requests.db"))
    assert [one.id for _, one in read(tmp_path / "requests.db", after=1)] == ["r1"]
    assert first.id == "r0"


def test_a_reader_sees_records_while_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path, batch_s=0.0)
    seen: list[str] = []
    after = 0
    for number in range(300):
        log.write(record(number))
        if number % 20 == 0:
            for reached, one in read(path, after):
                seen.append(one.id)
                after = max(after, reached)
    log.close()
    seen.extend(one.id for _, one in read(path, after))
    assert seen == [f"r{number}" for number in range(300)]
    assert log.dropped == 0


def test_writing_costs_the_caller_next_to_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """10,000 records are handed over without one wait for the disk."""
    log = RequestLog(tmp_path / "requests.db", batch_s=60.0)
    one = record(1)
    with caplog.at_level(logging.WARNING):
        started = time.perf_counter()
        for _ in range(10_000):
            log.write(one)
        handed_over_s = time.perf_counter() - started
    log.close()
    assert handed_over_s < 1.0
    assert log.written == 10_000


def test_answers_of_a_model_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    assert answers_of(path, "m") == 0
    log = RequestLog(path)
    for number, tokens in enumerate([7, 0, None, 9]):
        log.write(record(number, model="m", output_tokens=tokens))
    log.write(record(4, model="m", output_tokens=5, outcome="cancelled"))
    log.write(record(5, model="another", output_tokens=5))
    log.close()
    assert answers_of(path, "m") == 2


def test_the_newest_number_is_where_a_reader_starts_from_the_end(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    assert newest(path) == 0
    log = RequestLog(path)
    for index in range(5):
        log.write(record(index))
    log.close()
    assert newest(path) == 5
    assert [number for number, _ in read(path, after=newest(path) - 2)] == [4, 5]
