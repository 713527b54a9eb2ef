"""Runs as traces: a tree of spans, in OpenTelemetry's names, sent to a collector."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.workflows.conftest import Bench
from tests.workflows.crashes import PayingServer

import headway
from headway.prices.tokens import TokenPrice
from headway.workflows.journal.rows import StepRow, StepState
from headway.workflows.otlp import Exporter
from headway.workflows.prices import cost_of
from headway.workflows.spans import spans_of, traceparent


@headway.task(retries=1, backoff_s=0.001)
async def asks(text: str) -> str:
    return (await headway.llm(text, model="fake", max_tokens=5)).text


@headway.task
async def breaks() -> None:
    raise TypeError("broken")


@headway.workflow
async def traced() -> None:
    await headway.gather(asks("one"), asks("two"))
    await breaks()


async def test_a_run_is_a_tree_of_spans(bench: Bench) -> None:
    server = PayingServer(0.0)
    runner, bench.url = await server.listen()
    row = await bench.result(traced)
    await runner.cleanup()
    spans = spans_of(row, (await bench.journal.steps(row.id)).values())
    by_path = {span.attributes.get("headway.step.path", ""): span for span in spans}
    root, call, task = by_path[""], by_path["asks~1/llm"], by_path["asks"]
    assert (root.name, root.parent_id) == ("invoke_workflow traced", None)
    assert root.error == "TypeError: broken" == by_path["breaks"].error
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert (task.parent_id, call.parent_id) == (root.span_id, task.span_id)
    assert task.began_at <= call.began_at <= call.ended_at <= task.ended_at
    assert call.name == "chat fake" and call.is_client
    assert call.attributes["gen_ai.request.model"] == "fake"
    assert call.attributes["gen_ai.request.max_tokens"] == 5
    assert call.attributes["gen_ai.usage.input_tokens"] == 3
    assert call.attributes["gen_ai.usage.output_tokens"] == 1
    assert call.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert "gen_ai.input.messages" not in call.attributes, "they may be private"
    private = spans_of(row, (await bench.journal.steps(row.id)).values(), contents=True)
    assert any("one" in str(span.attributes.get("gen_ai.input.messages")) for span in private)
    assert server.traceparents == {
        traceparent(row.id, path) for path in ("asks~1/llm", "asks#2~1/llm")
    }


async def test_a_worker_sends_runs_that_end_to_a_collector(bench: Bench) -> None:
    taken: asyncio.Queue[ExportTraceServiceRequest] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        import gzip

        body = await request.read()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        taken.put_nowait(ExportTraceServiceRequest.FromString(body))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    models, bench.url = await PayingServer(0.0).listen()
    exporter = Exporter(f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with bench.working(traced, export=exporter.send):
        row = await bench.start(traced)
        sent = await asyncio.wait_for(taken.get(), 30)
    await asyncio.to_thread(exporter.close)
    await runner.cleanup()
    await models.cleanup()
    spans = [
        span
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    names = [span.name for span in spans]
    assert names[0] == "invoke_workflow traced"
    assert {"asks", "breaks"} <= set(names)
    assert (await bench.journal.run(row.id)).state == "failed"


def test_what_a_run_cost() -> None:
    prices = {"big": TokenPrice(10, 20), "small": TokenPrice(1, 2)}
    steps = [
        StepRow(
            "r",
            str(number),
            "llm",
            StepState.FINISHED,
            model=model,
            prompt_tokens=1000,
            output_tokens=100,
        )
        for number, model in enumerate(("big", "small", "free"))
    ]
    assert cost_of(steps, prices) == (pytest.approx(0.0132), {"free"})
