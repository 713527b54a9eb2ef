"""Requests as traces: under those of clients, passed on to backends, sent to a collector."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend
from tests.traces.receiver import Receiver, attributes

from headway.traces.otlp import Collector
from headway.traces.tracer import Tracer

CHAT = "/v1/chat/completions"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.traces.tracer.TOGETHER_S", 0.01)


def names(spans: list[Any]) -> list[str]:
    return [span.name for span in spans]


async def test_a_trace_goes_through_the_gateway(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    async with Receiver() as receiver:
        gateway = await serve(backend, tracer=Tracer(Collector(receiver.url), 0.0))
        body = {"model": "fake", "messages": HELLO, "stream": True, "max_tokens": 9}
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
        async with http.post(gateway.address + CHAT, json=body, headers=headers) as answer:
            await answer.read()
        spans = await receiver.spans(4)
    root = spans[0]
    assert names(spans) == ["chat fake", "queued", "prefill", "decode"]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert root.parent_span_id.hex() == PARENT
    assert {span.parent_span_id for span in spans[1:]} == {root.span_id}
    assert len({span.span_id for span in spans}) == 4
    assert root.start_time_unix_nano <= spans[1].start_time_unix_nano
    assert spans[-1].end_time_unix_nano <= root.end_time_unix_nano + 1000
    sent = backend.heads[-1]
    assert sent["traceparent"] == f"00-{TRACE}-{root.span_id.hex()}-01"
    assert sent["tracestate"] == "vendor=1"
    found = attributes(root)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == "fake"
    assert found["gen_ai.request.max_tokens"] == 9
    assert found["gen_ai.usage.output_tokens"] > 0
    assert found["headway.outcome"] == "finished"
    assert not [value for value in found.values() if "Hello" in str(value)], "it may be private"


async def test_a_trace_that_is_not_sampled_only_passes(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    async with Receiver() as receiver:
        tracer = Tracer(Collector(receiver.url), 0.0)
        gateway = await serve(backend, tracer=tracer)
        body = {"model": "fake", "messages": HELLO}
        parent = f"00-{TRACE}-{PARENT}-00"
        async with http.post(
            gateway.address + CHAT, json=body, headers={"traceparent": parent}
        ) as answer:
            assert answer.headers["traceparent"] == parent
        async with http.post(gateway.address + CHAT, json=body) as answer:
            assert "traceparent" not in answer.headers
        assert backend.heads[-2]["traceparent"] == parent
        assert "traceparent" not in backend.heads[-1]
        await gateway.stop()
        assert (tracer.sent, receiver.messages) == (0, 0)


async def test_a_preemption_and_what_failed_are_in_it(serve: Serve) -> None:
    engine = ExactEngine()
    async with Receiver() as receiver:
        gateway = await serve(engine, tracer=Tracer(Collector(receiver.url), 1.0))
        async with client_of(gateway) as client:

            async def ask(tier: Any, tokens: int) -> None:
                await client.chat.completions.create(
                    model="counter", messages=HELLO, max_tokens=tokens, service_tier=tier
                )

            long = asyncio.ensure_future(ask("flex", 6))
            await until(lambda: engine.running == 1)
            engine.allow(2)
            works = gateway.dispatcher.works
            await until(lambda: any(work.output_tokens == 2 for work in works.values()))
            urgent = asyncio.ensure_future(ask("priority", 1))
            await until(lambda: any(work.request.preemptions for work in works.values()))
            engine.allow()
            await asyncio.gather(long, urgent)
        spans = await receiver.spans(4 + 7)
    root = next(span for span in spans if attributes(span).get("headway.preemptions") == 1)
    mine = [span for span in spans if span.parent_span_id == root.span_id]
    assert names(mine) == ["queued", "prefill", "decode", "stopped", "prefill", "decode"]
    assert attributes(mine[2])["headway.ended_because"] == "preempted"
    assert attributes(mine[2])["headway.output_tokens"] == 2
