"""What operators see: metrics, health, the queue, the log."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import aiohttp
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.core.batching import BatchingSettings
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.engines.endpoint import Endpoint
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.models.catalog import Catalog
from headway.models.served import ServedModel
from headway.models.signature import Signature
from headway.store.request_log import RequestLog, read


async def metrics(gateway: Gateway, http: aiohttp.ClientSession) -> dict[tuple[str, ...], float]:
    async with http.get(gateway.address + "/metrics") as answer:
        text = await answer.text()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics(serve: Serve, http: aiohttp.ClientSession) -> None:
    limits = SchedulerSettings(tiers={Tier.BATCH: TierSettings(max_queue=1)})
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=limits)
    async with client_of(gateway) as client:

        async def ask(tier: str) -> None:
            await client.chat.completions.create(
                model="counter", messages=HELLO, max_tokens=4, service_tier=tier, stream=False
            )

        first = asyncio.ensure_future(ask("default"))
        await until(lambda: engine.running == 1)
        second = asyncio.ensure_future(ask("flex"))
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        with pytest.raises(openai.RateLimitError):
            await ask("flex")
        seen = await metrics(gateway, http)
        assert seen["headway_queue_depth", "batch"] == 1
        assert seen["headway_queue_backlog_seconds", "batch"] > 0
        assert seen["headway_requests_running", "exact"] == 1
        assert seen["headway_requests_in_flight",] == 2
        assert seen["headway_backend_up", "exact"] == 1
        assert seen["headway_rejects_total", "queue_full"] == 1
        engine.allow()
        await asyncio.gather(first, second)
    seen = await metrics(gateway, http)
    assert seen["headway_requests_total", "finished", "standard"] == 1
    assert seen["headway_requests_total", "finished", "batch"] == 1
    assert seen["headway_tokens_total", "output", "batch"] == 4
    assert seen["headway_tokens_total", "prompt", "batch"] == 5
    for name in ("wait_seconds", "ttft_seconds", "tpot_seconds", "slowdown", "latency_seconds"):
        assert seen[f"headway_{name}_count", "standard"] == 1, name
    assert seen["headway_queue_depth", "batch"] == 0


async def test_health_and_readiness(serve: Serve, http: aiohttp.ClientSession) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    for path in ("/healthz", "/readyz"):
        async with http.get(gateway.address + path) as answer:
            assert answer.status == 200
        async with http.head(gateway.address + path) as answer:
            assert answer.status == 200
    gateway.pool.set("exact", healthy=False)
    async with http.get(gateway.address + "/readyz") as answer:
        assert answer.status == 503
        assert "exact" in (await answer.json())["status"]
    async with http.get(gateway.address + "/healthz") as answer:
        assert answer.status == 200


async def test_a_gateway_of_models_alone_is_ready_once_they_are_loaded(
    http: aiohttp.ClientSession,
) -> None:
    class SlowModel:
        def __init__(self) -> None:
            self.on_change = lambda alive, error: None
            self.allowed = asyncio.Event()

        async def load(self) -> Signature:
            await self.allowed.wait()
            return Signature(task="python", platform="python")

        async def run(self, items: list[object]) -> list[object]:
            return items

        async def unload(self) -> None:
            pass

    slow = SlowModel()
    model = ServedModel("slow", slow, BatchingSettings())
    gateway = Gateway(GatewaySettings(port=0), catalog=Catalog([model], frozenset({"slow"})))
    starting = asyncio.create_task(gateway.start())
    await until(lambda: gateway.address != "")
    async with http.get(gateway.address + "/readyz") as answer:
        assert answer.status == 503
        assert "loaded" in (await answer.json())["status"]
    slow.allowed.set()
    await starting
    async with http.get(gateway.address + "/readyz") as answer:
        assert answer.status == 200
    await gateway.stop()


async def test_the_queue_view_says_who_runs_who_waits_and_why(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    async with client_of(gateway) as client:
        asked = []
        for number in range(3):
            asked.append(
                asyncio.ensure_future(
                    client.chat.completions.create(
                        model="counter",
                        messages=HELLO,
                        user=f"user{number}",
                        extra_headers={"x-headway-program": "agent-7"},
                    )
                )
            )
            await until(lambda number=number: len(gateway.dispatcher.works) == number + 1)
        async with http.get(gateway.address + "/v1/headway/queue") as answer:
            view = await answer.json()
        assert view["waiting"] == 2 and view["backlog_s"] > 0 and view["policy"] == "srpt"
        assert view["tail"] is None
        assert view["backends"][0]["name"] == "exact" and view["backends"][0]["running"] == 1
        running, *waiting = view["requests"]
        assert running["state"] == "running" and running["backend"] == "exact"
        assert [request["tenant"] for request in waiting] == ["user1", "user2"]
        assert all(request["program"] == "agent-7" for request in view["requests"])
        assert all("starts in about" in request["why"] for request in waiting)
        async with http.get(gateway.address + "/v1/headway/queue?limit=1") as answer:
            assert len((await answer.json())["requests"]) == 1
        engine.allow()
        await asyncio.gather(*asked)


async def test_under_boost_view_and_metrics_show_the_promise(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine(), scheduler=SchedulerSettings(policy="boost"))
    async with http.get(gateway.address + "/v1/headway/queue") as answer:
        tail = (await answer.json())["tail"]
    assert tail["promised"] == 1.15 and tail["measured"] is None and tail["scale_s"] > 0
    seen = await metrics(gateway, http)
    assert seen[("headway_tail_promised",)] == 1.15
    assert ("headway_tail_stretch",) not in seen


async def test_every_request_is_one_log_line_and_one_row(
    backend: FakeBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="headway.request")
    log = RequestLog(tmp_path / "requests.db", keep_prompts=True, batch_s=0.0)
    endpoints = [Endpoint("b0", backend.url)]
    gateway = Gateway(GatewaySettings(port=0), endpoints, request_log=log)
    await gateway.start()
    async with client_of(gateway) as client:
        await client.chat.completions.create(model="fake", messages=HELLO, user="ann")
        backend.faults.append((400, {"error": {"message": "no"}}))
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="fake", messages=HELLO)
        backend.open.clear()
        gone = asyncio.ensure_future(client.chat.completions.create(model="fake", messages=HELLO))
        await until(lambda: backend.running == 1)
        gone.cancel()
        await until(lambda: not gateway.dispatcher.works)
    await gateway.stop()
    log.close()
    finished, failed, cancelled = [record for _, record in read(tmp_path / "requests.db")]
    assert (finished.outcome, finished.status, finished.tenant) == ("finished", 200, "ann")
    assert finished.output_tokens == 100 and finished.prompt_tokens == 7
    assert json.loads(finished.prompt) == HELLO
    assert (failed.outcome, failed.status) == ("failed", 400)
    assert (cancelled.outcome, cancelled.status) == ("cancelled", 499)
    records = [record for record in caplog.records if record.name == "headway.request"]
    lines = [json.loads(record.message) for record in records]
    assert [line["id"] for line in lines] == [finished.id, failed.id, cancelled.id]
    assert all(line["prompt"] is None for line in lines)


async def test_lengths_are_learned_while_serving(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:

        async def predicted() -> float:
            answer = await client.chat.completions.create(model="fake", messages=HELLO)
            return answer.usage.headway["predicted_tokens"]

        async with asyncio.timeout(30):
            while abs(await predicted() - 100) > 20:
                pass
