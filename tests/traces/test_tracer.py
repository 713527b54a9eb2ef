"""Spans are sent beside serving: what cannot be sent is counted, and nobody waits for it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.gateway.conftest import until
from tests.traces.receiver import Receiver, attributes

from headway.traces.otlp import Collector
from headway.traces.span import Span
from headway.traces.tracer import Tracer

SPAN = Span("chat smol", 7, 8, 9, 1.0, 2.5, {"a": 1, "b": "x"}, is_server=True, error="broke")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.traces.tracer.TOGETHER_S", 0.01)


async def test_spans_reach_a_collector_together() -> None:
    async with Receiver() as receiver:
        tracer = Tracer(Collector(receiver.url), 1.0)
        for _ in range(3):
            tracer.write(lambda: [SPAN, SPAN])
        spans = await receiver.spans(6)
        await asyncio.to_thread(tracer.close)
    span = spans[0]
    assert (span.name, span.kind, span.status.message) == ("chat smol", 2, "broke")
    assert int.from_bytes(span.trace_id, "big") == 7
    assert int.from_bytes(span.parent_span_id, "big") == 9
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (10**9, 25 * 10**8)
    assert attributes(span) == {"a": 1, "b": "x"}
    assert receiver.messages < 3 or tracer.sent == 6
    assert (tracer.sent, tracer.dropped) == (6, 0)


async def test_what_is_refused_is_counted_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Receiver(status=400) as receiver:
        tracer = Tracer(Collector(receiver.url), 1.0)
        for number in range(2):
            tracer.write(lambda: [SPAN])
            await until(lambda: tracer.dropped == number + 1)  # noqa: B023
        await asyncio.to_thread(tracer.close)
    assert tracer.sent == 0
    warned = [one for one in caplog.records if one.name == "headway.traces.tracer"]
    assert [one.levelno for one in warned] == [logging.WARNING]


async def test_a_collector_that_is_away_costs_no_more_than_what_may_wait() -> None:
    tracer = Tracer(Collector("http://127.0.0.1:9", timeout_s=0.2), 1.0, most_waiting=10)
    for _ in range(500):
        tracer.write(lambda: [SPAN])
    assert tracer.dropped >= 490 - 200
    await asyncio.to_thread(tracer.close)


async def test_spans_that_cannot_be_made_harm_no_others() -> None:
    def broken() -> list[Span]:
        raise ValueError("no span today")

    async with Receiver() as receiver:
        tracer = Tracer(Collector(receiver.url), 1.0)
        tracer.write(broken)
        await until(lambda: tracer.dropped == 1)
        tracer.write(lambda: [SPAN])
        await receiver.spans(1)
        await asyncio.to_thread(tracer.close)
    assert tracer.sent == 1


async def test_the_last_spans_are_sent_at_the_end() -> None:
    async with Receiver() as receiver:
        tracer = Tracer(Collector(receiver.url), 1.0)
        tracer.write(lambda: [SPAN])
        await asyncio.to_thread(tracer.close)
        await receiver.spans(1)
        tracer.write(lambda: [SPAN])
    assert (tracer.sent, tracer.dropped) == (1, 1)
