"""A proxy that leaves its prefix in place."""

from __future__ import annotations

import aiohttp
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey


@pytest.mark.parametrize("path", ["/healthz", "/console", "/v1/models/counter", "/v1/models?x=%2F"])
async def test_it_answers_with_and_without_the_prefix(
    path: str, serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine(), base_path="/head/way")
    for prefix in ("", "/head/way"):
        async with http.get(gateway.address + prefix + path) as answer:
            assert answer.status == 200
    for other in ("/headway", "/head/wayward", "/head"):
        async with http.get(gateway.address + other + path) as answer:
            assert answer.status == 404


async def test_requests_are_scheduled_below_it(serve: Serve, http: aiohttp.ClientSession) -> None:
    engine = ExactEngine()
    engine.allow()
    gateway = await serve(engine, base_path="/headway")
    body = {"model": "counter", "prompt": "Hello!", "max_tokens": 2}
    async with http.post(gateway.address + "/headway/v1/completions", json=body) as answer:
        assert (await answer.json())["choices"][0]["text"] == "0 1 "


async def test_the_cookie_stays_below_it(serve: Serve, http: aiohttp.ClientSession) -> None:
    key = ApiKey("ops", hash_key("admin-key"), admin=True)
    gateway = await serve(ExactEngine(), base_path="/headway", keys=(key,))
    url = gateway.address + "/headway/console/api/session"
    async with http.post(url, json={"key": "admin-key"}) as answer:
        assert "Path=/headway" in answer.headers["Set-Cookie"]
