"""The log line of each request: in batches where the handler can take them, else log records."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence

import pytest

from headway.gateway.accounts.request_lines import as_json, log_requests, request_logger, wanted
from headway.store.request_record import RequestRecord


class Records(logging.Handler):
    """A user's own."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Batches(Records):
    """One that takes requests."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.batches: list[list[RequestRecord]] = []

    def take_requests(self, records: Sequence[RequestRecord]) -> None:
        self.batches.append(list(records))


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = request_logger.handlers[:]
    request_logger.setLevel(logging.INFO)
    yield
    request_logger.propagate, request_logger.handlers[:] = True, before
    request_logger.setLevel(logging.NOTSET)
    request_logger.filters.clear()


def logs_to(*handlers: logging.Handler) -> None:
    """These alone; pytest's own are left out."""
    request_logger.propagate, request_logger.handlers[:] = False, handlers


def requests(count: int, **changes: object) -> list[RequestRecord]:
    values: dict[str, object] = {
        "arrival_unix_s": 1.5,
        "tier": "batch",
        "outcome": "finished",
        "status": 200,
    }
    return [RequestRecord(id=f"r{n}", **(values | changes)) for n in range(count)]


def test_a_handler_that_takes_requests_gets_the_whole_batch_and_no_log_record() -> None:
    logs_to(handler := Batches())
    log_requests(requests(3))
    assert handler.batches == [requests(3)]
    assert handler.records == []


def test_a_users_own_handler_gets_a_log_record_for_each_request() -> None:
    logs_to(handler := Records())
    log_requests(requests(2))
    assert [json.loads(one.getMessage())["id"] for one in handler.records] == ["r0", "r1"]
    assert {(one.name, one.levelname) for one in handler.records} == {("headway.request", "INFO")}


def test_beside_a_users_handler_each_request_is_still_logged_once_by_both() -> None:
    logs_to(ours := Batches(), theirs := Records())
    log_requests(requests(2))
    assert len(theirs.records) == 2
    assert len(ours.records) + sum(map(len, ours.batches)) == 2


def test_filters_and_levels_see_every_request() -> None:
    logs_to(handler := Batches())
    handler.addFilter(lambda record: "r1" in record.getMessage())
    log_requests(requests(3))
    assert [json.loads(one.getMessage())["id"] for one in handler.records] == ["r1"]

    logs_to(quiet := Batches(logging.WARNING))
    log_requests(requests(3))
    assert not quiet.records and not quiet.batches

    logs_to(handler := Batches())
    request_logger.addFilter(lambda record: False)
    log_requests(requests(3))
    assert not handler.records and not handler.batches


def test_nothing_is_wanted_above_the_level_of_a_request() -> None:
    assert wanted()
    request_logger.setLevel(logging.WARNING)
    assert not wanted()


def test_prompts_are_not_logged() -> None:
    logs_to(handler := Batches())
    log_requests(requests(1, prompt="a secret"))
    assert handler.batches[0][0].prompt is None


def test_a_name_that_is_no_unicode_is_escaped() -> None:
    (record,) = requests(1, tenant="\udcff")
    assert json.loads(as_json(record))["tenant"] == "\udcff"
