"""Log lines: JSON, one object a line, and never in the way."""

from __future__ import annotations

import json
import logging

import pytest

from headway.cli.logs import JsonLines, Logs, WaitingLines
from headway.gateway.accounts import request_lines
from headway.gateway.accounts.request_lines import as_json
from headway.store.request_record import RequestRecord


def record(name: str, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, __file__, 1, message, None, None)


def request(name: str, prompt: str | None = None) -> RequestRecord:
    return RequestRecord(
        id=name, arrival_unix_s=1.5, tier="batch", outcome="finished", status=200, prompt=prompt
    )


def test_a_message_is_one_json_object() -> None:
    line = JsonLines().format(record("headway.gateway", 'it said "no"\nand left'))
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["level"] == "info"
    assert fields["logger"] == "headway.gateway"
    assert fields["message"] == 'it said "no"\nand left'
    assert fields["time"].endswith("Z")


def test_a_request_is_an_object_in_its_line() -> None:
    line = JsonLines().request(1_700_000_000.0429, request("r1"))
    assert line == (
        '{"time": "2023-11-14T22:13:20.042Z", "level": "info", "logger": "headway.request", '
        f'"request": {as_json(request("r1"))}}}'
    )
    assert json.loads(line)["request"]["id"] == "r1"


def test_a_request_that_comes_as_a_log_record_makes_the_same_line() -> None:
    logged = record("headway.request", as_json(request("r1")))
    assert JsonLines().format(logged) == JsonLines().request(logged.created, request("r1"))


def test_requests_keep_their_place_among_other_lines() -> None:
    handler = WaitingLines(most=4)
    handler.handle(record("headway", "before"))
    handler.take_requests([request("r1"), request("r2")])
    handler.handle(record("headway", "after"))
    handler.take_requests([request("r3")])
    first, second, third, last = map(json.loads, handler.take().splitlines())
    assert (first["message"], last["message"]) == ("before", "after")
    assert [second["request"]["id"], third["request"]["id"]] == ["r1", "r2"]
    assert handler.take() == ""


def test_requests_are_logged_from_level_info_on(capsys: pytest.CaptureFixture[str]) -> None:
    with Logs("warning"):
        assert not request_lines.wanted()
    with Logs("info"):
        assert request_lines.wanted()
        request_lines.log_requests([request("r1"), request("r2", prompt="a secret")])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["request"]["id"] for line in lines] == ["r1", "r2"]
    assert [line["request"]["prompt"] for line in lines] == [None, None]


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise RuntimeError("boom")
    except RuntimeError as error:
        failed = record("headway", "failed")
        failed.exc_info = (type(error), error, error.__traceback__)
    fields = json.loads(JsonLines().format(failed))
    assert fields["traceback"].endswith("RuntimeError: boom")


def test_everything_logged_is_written_by_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("headway.test")
    with Logs("info"):
        logger.info("one")
        logger.debug("not this")
    logger.warning("nor this")
    assert logging.getLogger("headway").level == logging.NOTSET
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "one"


def test_a_reader_that_does_not_read_costs_lines_and_no_time() -> None:
    handler = WaitingLines(most=2)
    for number in range(5):
        handler.handle(record("headway", str(number)))
    handler.take_requests([request("r1")])
    assert [json.loads(line)["message"] for line in handler.take().splitlines()] == ["0", "1"]
    assert handler.take() == ""
