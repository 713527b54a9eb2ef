"""What goes wrong with a request log costs records, and serving goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.records import ids, record, until

from headway.store.request_log import RequestLog, RequestLogError, read


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
