"""Log lines: JSON, one object a line, and never in the way."""

from __future__ import annotations

import json
import logging

import pytest

from headway.cli.logs import JsonLines, Logs, WaitingLines


def record(name: str, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, __file__, 1, message, None, None)


def test_a_message_is_one_json_object() -> None:
    line = JsonLines().format(record("headway.gateway", 'it said "no"\nand left'))
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["level"] == "info"
    assert fields["logger"] == "headway.gateway"
    assert fields["message"] == 'it said "no"\nand left'
    assert fields["time"].endswith("Z")


def test_a_request_is_an_object_in_its_line() -> None:
    line = JsonLines().format(record("headway.request", '{"id":"r1","status":200}'))
    assert json.loads(line)["request"] == {"id": "r1", "status": 200}


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
    assert handler.take() == "0\n1\n"
    assert handler.take() == ""
