"""The request log: complete, off the hot path, and never in the way of serving."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from headway.store.request_log import (
    DESCRIBED_AT_ONCE,
    RequestLog,
    RequestLogError,
    answers_of,
    newest,
    read,
)
from headway.store.request_record import ADDED, FIELDS, RequestRecord


def record(number: int, **changes: object) -> RequestRecord:
    values: dict[str, object] = {
        "id": f"r{number}",
        "arrival_unix_s": 1_700_000_000.0 + number,
        "tier": "standard",
        "outcome": "finished",
        "status": 200,
    }
    return RequestRecord(**(values | changes))  # type: ignore[arg-type]


def ids(path: Path) -> list[str]:
    return [one.id for _, one in read(path)]


def until(condition, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


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


def test_a_full_queue_drops_and_counts_instead_of_blocking(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path, batch_s=60.0, max_waiting=10)
    log.write(record(0))
    until(lambda: log._waiting.empty())  # the writer holds the first one and gathers
    for number in range(1, 31):
        log.write(record(number))
    assert log.dropped == 20
    log.close()
    assert ids(path) == [f"r{number}" for number in range(11)]


def test_a_row_that_cannot_be_stored_does_not_take_others_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog(tmp_path / "requests.db")
    log.write(record(1))
    log.write(record(2, max_tokens=10**30))
    log.write(record(3, tenant="\udcff"))
    log.write(record(4, output_tokens=-(10**30)))
    for number in range(5, 200):
        log.write(record(number))
    log.close()
    good = [f"r{number}" for number in (1, *range(5, 200))]
    assert ids(tmp_path / "requests.db") == good
    assert (log.written, log.dropped) == (len(good), 3)
    assert "'r2' has no row" in caplog.text


def test_a_file_that_is_no_database_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "requests.db"
    path.write_bytes(b"this is not a database\n" * 500)
    log = RequestLog(path)
    log.write(record(1))
    log.close()
    assert ids(path) == ["r1"]
    (aside,) = tmp_path.glob("requests.db.broken-*")
    assert aside.read_bytes().startswith(b"this is not")
    assert "was moved to requests.db.broken-" in caplog.text


def test_a_database_that_breaks_while_serving_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "requests.db"
    first = RequestLog(path)
    for number in range(2000):
        first.write(record(number))
    first.close()
    log = RequestLog(path)
    with path.open("r+b") as file:  # every page after the header and the schema
        file.seek(8192)
        file.write(b"\xa5" * (path.stat().st_size - 8192))
    for number in range(5):
        log.write(record(number))
    log.close()
    assert list(tmp_path.glob("requests.db.broken-*"))
    assert ids(path) == [f"r{number}" for number in range(5)]
    assert log.dropped == 0


def test_a_database_of_another_schema_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    RequestLog(path).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    database.close()
    RequestLog(path).close()
    assert list(tmp_path.glob("requests.db.broken-*"))


def test_a_place_that_cannot_hold_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestLogError, match=r"cannot be opened .* set log.requests_db"):
        RequestLog(tmp_path / "file" / "requests.db")


def test_reading_what_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RequestLogError, match="there is no request log"):
        list(read(tmp_path / "none.db"))


@pytest.mark.parametrize(
    "damage",
    [
        "output_tokens = 'nan'",
        "output_tokens = 2.5",
        "output_tokens = -1",
        "outcome = 'odd'",
        "features = 'NaN'",
        "features = '[0.5]'",
        "features = x'ff'",
        "template = 'no hash'",
        "total_ms = 'long'",
    ],
)
def test_rows_that_make_no_sense_are_left_out_and_counted_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path)
    for number in range(5):
        log.write(record(number))
    log.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"UPDATE requests SET {damage} WHERE number IN (2, 4)")
        database.commit()
    assert ids(path) == ["r0", "r2", "r4"]
    (warning,) = caplog.messages
    assert "2 damaged rows were left out" in warning


def test_a_text_that_is_no_utf8_does_not_end_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path)
    for number in range(3):
        log.write(record(number, tenant="acme"))
    log.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE requests SET tenant = CAST(x'ff61' AS TEXT) WHERE number = 2")
        database.commit()
    assert [one.tenant for _, one in read(path)] == ["acme", "\ufffda", "acme"]


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def test_a_killed_writer_loses_no_more_than_its_last_batch(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    writer = child(
        """
        import sys, time
        from pathlib import Path
        from headway.store.request_log import RequestLog
        from headway.store.request_record import RequestRecord
        log = RequestLog(Path(sys.argv[1]), batch_s=0.0)
        number = 0
        while True:
            log.write(RequestRecord(id=f"r{number}", arrival_unix_s=1.0, tier="batch",
                                    outcome="finished", status=200))
            number += 1
            while log.written < number:
                time.sleep(0)
            print(log.written)
        """,
        path,
    )
    assert writer.stdout is not None
    for _ in range(200):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    rest = writer.communicate()[0].split()
    confirmed = int(rest[-1]) if rest else 200
    found = ids(path)
    assert found == [f"r{number}" for number in range(len(found))]
    assert confirmed - 1 <= len(found) <= confirmed + 1
    RequestLog(path).close()
    assert len(ids(path)) == len(found)


FULL_DISK = """
    import logging, resource, sys, time
    from pathlib import Path
    from headway.store.request_log import RequestLog, RequestLogError
    from headway.store.request_record import RequestRecord
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    def record():
        return RequestRecord(id="r" * 2000, arrival_unix_s=1.0, tier="batch",
                             outcome="finished", status=200)

    def write(log, count):
        for _ in range(count):
            before = log.written + log.dropped
            log.write(record())
            while log.written + log.dropped == before:
                time.sleep(0.001)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_disk_that_fills_up_costs_records_and_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    writer = child(
        FULL_DISK
        + """
    log = RequestLog(Path(sys.argv[1]), batch_s=0.0)
    write(log, 3)
    limit = 200_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    write(log, 200)
    assert log.dropped > 50, log.dropped
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    dropped = log.dropped
    write(log, 5)
    log.close()
    print(log.written, log.dropped - dropped)
    """,
        path,
    )
    out, err = writer.communicate(timeout=60)
    assert writer.returncode == 0, err
    written, dropped_later = map(int, out.split())
    assert dropped_later == 0
    assert len(ids(path)) == written
    assert err.count("cannot be written") == 1
    assert err.count("is written again") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_disk_that_is_full_at_the_start_is_one_clear_error(tmp_path: Path) -> None:
    writer = child(
        FULL_DISK
        + """
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        RequestLog(Path(sys.argv[1]))
    except RequestLogError as error:
        print(error)
    """,
        tmp_path / "requests.db",
    )
    out, err = writer.communicate(timeout=60)
    assert writer.returncode == 0, err
    assert "free disk space" in out
    assert len(out.splitlines()) == 1


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
