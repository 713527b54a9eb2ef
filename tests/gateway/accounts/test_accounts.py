"""What is written down of a request at its end, a moment later and in batches."""

from __future__ import annotations

import itertools
import json
import logging
import time
from pathlib import Path

import msgspec
import pytest
from tests.gateway.conftest import until
from tests.gateway.doubles import EnginePool, dispatcher_of

from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.gateway.accounts.accounts import AT_ONCE, Accounts
from headway.gateway.accounts.metrics import Metrics
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.work.served import Served
from headway.gateway.work.work import Work
from headway.prediction.learning.logged import LoggedPrompt, logged_features
from headway.prediction.live.history import LengthHistory, Origin
from headway.prediction.live.run_history import RunHistory
from headway.store.request_log import RequestLog, read

MESSAGES = msgspec.json.encode([{"role": "user", "content": "List ten tips about glass."}])
numbers = itertools.count(1)


class Books:
    """Accounts with everything that they write to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        dispatcher, foresight = dispatcher_of(EnginePool())
        scheduler = dispatcher.scheduler
        self.metrics = Metrics(dispatcher, foresight, None)
        self.log = RequestLog(path, make_features=logged_features, batch_s=0.0)
        ahead = RunsAhead(scheduler, RunHistory())
        self.accounts = Accounts(
            scheduler,
            self.metrics,
            LengthHistory(),
            foresight,
            ahead,
            dispatcher.pricing,
            self.log,
        )

    def finished(self) -> float | None:
        labels = {"tier": "standard", "outcome": "finished"}
        return self.metrics.registry.get_sample_value("headway_requests_total", labels)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "requests.db")


def work(arrival_s: float = 100.0) -> Work:
    """It was answered within 2 s."""
    request = Request(
        id=f"r{next(numbers)}",
        arrival_s=arrival_s,
        prompt_tokens=5,
        estimate=SizeEstimate.exactly(100),
        lane="m",
        tier=Tier.STANDARD,
        tenant="ann",
    )
    fields = {"messages": msgspec.Raw(MESSAGES)}
    one = Work(request, "chat", "/v1/chat/completions", Origin("m", "ann"), b"", fields)
    request.started_s = arrival_s + 0.5
    one.served = Served(
        first_token_s=arrival_s + 1.0,
        last_token_s=arrival_s + 2.0,
        ended_s=arrival_s + 2.0,
        prompt_tokens=7,
        billed_tokens=10,
    )
    return one


async def test_a_request_becomes_one_row_with_the_features_of_its_prompt(books: Books) -> None:
    one = work()
    books.accounts.settle(one, "finished", 200, "", now_s=102.0)
    books.accounts.flush()
    books.log.close()
    ((_, row),) = read(books.path)
    assert (row.id, row.outcome, row.output_tokens) == (one.request.id, "finished", 10)
    assert (row.queue_ms, row.ttft_ms, row.total_ms) == (500.0, 1000.0, 2000.0)
    assert [row.features] == logged_features([LoggedPrompt("chat", one.fields)])


async def test_its_arrival_is_not_later_because_it_is_written_later(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    books.accounts.settle(work(100.0), "finished", 200, "", now_s=102.5)
    monkeypatch.setattr(time, "time", lambda: 1_000_060.0)
    books.accounts.flush()
    books.log.close()
    ((_, row),) = read(books.path)
    assert row.arrival_unix_s == 1_000_000.0 - 2.5


async def test_many_are_written_in_batches_and_in_order(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="headway.request")
    works = [work() for _ in range(2 * AT_ONCE + 3)]
    for one in works:
        books.accounts.settle(one, "finished", 200, "", now_s=102.0)
    assert books.finished() == 0.0  # nobody waits for that
    await until(lambda: books.finished() == len(works))
    books.log.close()
    expected = [one.request.id for one in works]
    assert [row.id for _, row in read(books.path)] == expected
    lines = [one for one in caplog.records if one.name == "headway.request"]
    assert [json.loads(line.getMessage())["id"] for line in lines] == expected


async def test_one_that_cannot_be_written_down_does_not_keep_others_from_it(
    books: Books, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = work()
    ended = books.metrics.ended

    def fails_on_one(one: Work, outcome: str) -> None:
        if one is broken:
            raise RuntimeError("this one")
        ended(one, outcome)  # type: ignore[arg-type]

    monkeypatch.setattr(books.metrics, "ended", fails_on_one)
    for one in (work(), broken, work()):
        books.accounts.settle(one, "finished", 200, "", now_s=102.0)
    await until(lambda: books.finished() == 2)
    books.accounts.settle(work(), "finished", 200, "", now_s=102.0)
    await until(lambda: books.finished() == 3)
    books.log.close()
    assert len(list(read(books.path))) == 3
    assert caplog.text.count("cannot be recorded") == 1
    assert f"request {broken.request.id} cannot" in caplog.text
