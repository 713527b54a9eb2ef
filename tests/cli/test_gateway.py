"""What the gateway knows at its start: from the log of earlier runs, whatever state that is in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.test_command_line import headway, one_line_failure
from tests.store.records import record

from headway.cli.gateway_parts import answered_in, lengths_of, responses_of
from headway.config.kept import LogConfig, ResponsesConfig
from headway.config.settings import Settings
from headway.prediction.live.history import Origin
from headway.store.request_log import RequestLog


def write_lengths(path: Path, lengths: list[int]) -> None:
    log = RequestLog(path)
    for number, length in enumerate(lengths, start=1):
        log.write(record(number, model="m", output_tokens=length, template="abc"))
    log.close()


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


def test_lengths_of_earlier_answers_are_recalled(tmp_path: Path) -> None:
    write_lengths(tmp_path / "requests.db", [9] * 100)
    history = lengths_of(answered_in(tmp_path / "requests.db"))
    assert history.estimate(Origin("m", "", 0xABC), None).quantile(0.5) <= 10


@pytest.mark.parametrize(
    "damage",
    [
        "output_tokens = 'nan'",
        "output_tokens = 8.5",
        "output_tokens = -8",
        "features = 'NaN'",
        "template = 'not hexadecimal'",
    ],
)
def test_a_damaged_row_is_passed_over_with_one_warning(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "requests.db"
    write_lengths(path, [9] * 100)
    change(path, f"UPDATE requests SET {damage} WHERE number IN (1, 50)")
    history = lengths_of(answered_in(path))
    assert history.estimate(Origin("m", "", 0xABC), None).quantile(0.5) <= 10
    (warning,) = caplog.messages
    assert "requests.db: 2 damaged rows were left out" in warning


def test_a_log_that_cannot_be_read_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "requests.db"
    write_lengths(path, [9] * 100)
    change(path, "ALTER TABLE requests RENAME COLUMN program TO another")
    assert lengths_of(answered_in(path)).estimate(Origin("m"), None).mean > 100
    (warning,) = caplog.messages
    assert "earlier answers are not known" in warning


def test_a_damaged_predictor_that_was_asked_for_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.npz").write_bytes(b"PK\x03\x04 and nothing else")
    done = headway(
        *("serve", "--backend", "http://127.0.0.1:9", "--port", "0"),
        *("--set", f"log.requests_db={tmp_path / 'requests.db'}"),
        *("--set", f"prediction.predictor={tmp_path / 'mine.npz'}"),
    )
    assert "mine.npz is not a Headway predictor, or it is damaged" in one_line_failure(done, 1)


def test_responses_are_kept_beside_the_request_log(tmp_path: Path) -> None:
    log = LogConfig(requests_db=tmp_path / "requests.db")
    store = responses_of(Settings(log=log))
    assert store is not None and store.path == tmp_path / "responses.db"
    store.close()


@pytest.mark.parametrize("days", [0.0, 30.0])
def test_without_a_request_log_or_an_age_none_are_kept(tmp_path: Path, days: float) -> None:
    database = tmp_path / "requests.db" if days == 0.0 else None
    settings = Settings(
        log=LogConfig(requests_db=database), responses=ResponsesConfig(max_age_days=days)
    )
    assert responses_of(settings) is None
    assert not (tmp_path / "responses.db").exists()
