"""What keys see and may do of others, over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, catalog_of, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey
from headway.gateway.work.work import Work
from headway.prediction.live.history import Origin

KEYS = (
    ApiKey("a", hash_key("a")),
    ApiKey("b", hash_key("b")),
    ApiKey("b2", hash_key("b2"), tenant="b"),
    ApiKey("many", hash_key("many"), may_name_tenants=True),
    ApiKey("root", hash_key("root"), admin=True),
)


async def get(http: aiohttp.ClientSession, gateway: Gateway, path: str, key: str) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    async with http.get(gateway.address + path, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None) if answer.status == 200 else None


async def test_a_key_sees_its_own_requests_and_only_numbers_of_others(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, keys=KEYS)
    asked = []
    for number, (key, user) in enumerate([("a", "x"), ("b", "x"), ("b2", ""), ("many", "ann")], 1):
        client = client_of(gateway, api_key=key)
        asked.append(
            asyncio.ensure_future(
                client.completions.create(model="counter", prompt="p", max_tokens=1, user=user)
            )
        )
        await until(lambda number=number: len(gateway.dispatcher.works) == number)

    async def view(key: str) -> tuple[list[str], dict[str, int]]:
        _, found = await get(http, gateway, "/v1/headway/queue", key)
        assert found["waiting"] == 3 and found["backends"][0]["running"] == 1
        return [request["tenant"] for request in found["requests"]], found["others"]

    assert await view("a") == (["a"], {"running": 0, "waiting": 3})
    assert await view("b") == (["b", "b"], {"running": 1, "waiting": 1})
    assert await view("many") == (["ann"], {"running": 1, "waiting": 2})
    assert await view("root") == (["a", "b", "b", "ann"], {"running": 0, "waiting": 0})
    engine.allow()
    await asyncio.gather(*asked)


async def test_another_tenant_s_name_is_refused_before_anything_runs(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, keys=KEYS)
    async with client_of(gateway, api_key="a") as client:
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await client.chat.completions.create(
                model="fake", messages=HELLO, extra_headers={"x-headway-tenant": "b"}
            )
    assert raised.value.code == "tenant_not_allowed"
    assert not backend.requests


async def test_metrics_and_unloading_are_for_admins_where_there_are_keys(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(catalog=catalog_of("upper"), keys=KEYS)
    load = gateway.address + "/v2/repository/models/upper/load"
    for key, expected in (("nobody", 401), ("a", 403), ("root", 200)):
        headers = {"x-api-key": key}
        async with http.get(gateway.address + "/metrics", headers=headers) as answer:
            assert answer.status == expected
        for url in (load, load.replace("/load", "/unload")):
            async with http.post(url, headers=headers) as answer:
                assert answer.status == expected
    await gateway.stop()


LONG = "x" * 300


@pytest.mark.parametrize(
    ("sent", "headers", "param"),
    [
        ({"user": LONG}, {}, "user"),
        ({"model": LONG}, {}, "model"),
        ({"metadata": {"headway_program": LONG}}, {}, "metadata.headway_program"),
        ({}, {"x-headway-program": LONG}, "x-headway-program"),
    ],
)
async def test_long_names_are_refused_by_their_field(
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    sent: dict[str, Any],
    headers: dict[str, str],
    param: str,
) -> None:
    gateway = await serve(backend)
    sent = {"model": "fake", "messages": HELLO, **sent}
    url = gateway.address + "/v1/chat/completions"
    async with http.post(url, json=sent, headers=headers) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert (error["code"], error["param"]) == ("name_too_long", param)
    assert not backend.requests


async def test_no_label_of_a_metric_is_what_a_client_chose(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    url = gateway.address + "/v1/chat/completions"
    marks = [
        ({"model": "marked"}, {}),
        ({"user": "marked"}, {}),
        ({}, {"x-headway-tier": "marked"}),
        ({}, {"x-headway-tenant": "marked", "x-headway-program": "marked"}),
        ({}, {"x-headway-deadline-ms": "marked"}),
        ({"service_tier": "marked"}, {}),
        ({"max_tokens": "marked"}, {"x-request-id": "marked"}),
    ]
    backend.faults.append((400, {"error": {"code": "marked", "message": "marked"}}))
    for sent, headers in marks:
        sent = {"model": "fake", "messages": HELLO, **sent}
        async with http.post(url, json=sent, headers=headers) as answer:
            await answer.read()
    async with http.get(gateway.address + "/metrics") as answer:
        assert "marked" not in await answer.text()


async def test_thousands_of_tenants_are_seen_at_once(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    scheduling = SchedulerSettings(fairness="vtc", tenant_max_running=1)
    gateway = await serve(backend, slots=1, scheduler=scheduling)
    backend.open.clear()
    for number in range(5000):
        request = Request(
            id=f"r{number}",
            arrival_s=gateway.dispatcher.clock(),
            prompt_tokens=1,
            estimate=SizeEstimate.exactly(1),
            lane="fake",
            tenant=f"t{number}",
        )
        origin = Origin("fake", request.tenant)
        gateway.dispatcher.submit(Work(request, "chat", "chat/completions", origin, b"", {}))
    began_s = time.process_time()
    async with http.get(gateway.address + "/v1/headway/queue") as answer:
        view = await answer.json()
        assert (view["waiting"], len(view["requests"])) == (4999, 1000)
    async with http.get(gateway.address + "/metrics") as answer:
        assert answer.status == 200
    assert time.process_time() - began_s < 2.0
