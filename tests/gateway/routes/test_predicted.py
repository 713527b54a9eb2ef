"""What is predicted of a chat that is not sent."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.doubles import EnginePool, ExactEngine, Reader, work

from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey, GatewaySettings

CHAT = {"model": "counter", "messages": [{"role": "user", "content": "9"}], "max_tokens": 64}


async def predicted(
    gateway: Gateway, http: aiohttp.ClientSession, text: str = "9", **headers: str
) -> Any:
    url = gateway.address + "/v1/headway/predict"
    body = {**CHAT, "messages": [{"role": "user", "content": text}]}
    async with http.post(url, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_it_would_wait_behind_what_waits(serve: Serve, http: aiohttp.ClientSession) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    view = await predicted(gateway, http)
    assert (view["model"], view["ahead"], view["wait_s"]) == ("counter", 0, 0.0)
    assert view["output_low"] <= view["output_tokens"] <= view["output_high"] == 64
    for name in ("runs", "waits", "waits too"):
        gateway.dispatcher.submit(work(name))
    view = await predicted(gateway, http)
    assert view["ahead"] == 2 and view["wait_s"] > 0
    view = await predicted(gateway, http, **{"x-headway-tier": "interactive"})
    assert (view["tier"], view["ahead"]) == ("interactive", 0)
    assert len(gateway.dispatcher.works) == 3 and engine.running == 0
    gateway.pool.hold("exact", True)
    assert (await predicted(gateway, http))["wait_s"] is None


async def test_the_wait_under_another_policy_comes_beside_it(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    for name in ("runs", "waits", "waits too"):
        gateway.dispatcher.submit(work(name, tokens=500))
    url = f"{gateway.address}/v1/headway/predict?policy="
    async with http.post(f"{url}fcfs", json={**CHAT, "max_tokens": 1}) as answer:
        view = await answer.json()
    assert (view["policy"], view["ahead"]) == ("srpt", 0)
    assert view["under"]["policy"] == "fcfs" and view["under"]["ahead"] == 2
    assert view["under"]["wait_s"] > view["wait_s"]
    assert gateway.dispatcher.scheduler.policy_name == "srpt"
    async with http.post(f"{url}none", json=CHAT) as answer:
        assert answer.status == 400 and "there are fcfs" in await answer.text()


async def test_the_predictor_reads_the_prompt(
    stack: AsyncExitStack, http: aiohttp.ClientSession
) -> None:
    pool, settings = EnginePool(ExactEngine()), GatewaySettings(port=0)
    gateway = Gateway(settings, pool=pool, predictor=Reader())  # type: ignore[arg-type]
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    short = await predicted(gateway, http, text="2")
    long = await predicted(gateway, http, text="6")
    assert short["output_tokens"] < long["output_tokens"] <= 64
    assert gateway._foresight.predicted == 2


async def test_it_takes_nothing_of_a_key_s_rate(serve: Serve, http: aiohttp.ClientSession) -> None:
    key = ApiKey("team", hash_key("team-key"), requests_per_minute=1)
    gateway = await serve(ExactEngine(), keys=(key,))
    for _ in range(3):
        await predicted(gateway, http, Authorization="Bearer team-key")


@pytest.mark.parametrize("model", ["none", 3])
async def test_what_could_not_be_sent_is_refused(
    model: Any, serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    url = gateway.address + "/v1/headway/predict"
    async with http.post(url, json={**CHAT, "model": model}) as answer:
        assert answer.status in (400, 404)
