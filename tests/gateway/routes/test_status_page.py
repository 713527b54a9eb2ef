"""The page at `/`: for a browser, and what it asks for is there."""

from __future__ import annotations

import re

import aiohttp
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

from headway.gateway.api.views import BackendView, OtherRequests, QueuedRequest, QueueView
from headway.gateway.keys.keys import hash_key
from headway.gateway.routes.status_page import PAGE
from headway.gateway.settings import ApiKey

TEAM = ApiKey("team", hash_key("secret"))


async def test_it_is_html_and_needs_no_key(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine(), keys=(TEAM,))
    async with http.get(gateway.address + "/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "<title>Headway</title>" in await answer.text()


async def test_what_it_shows_needs_one(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine(), keys=(TEAM,))
    url = f"{gateway.address}/v1/headway/queue?limit=100"
    async with http.get(url) as answer:
        assert answer.status == 401
        assert (await answer.json())["error"]["message"]
    async with http.get(url, headers={"authorization": "Bearer secret"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_the_rules_for_web_pages_hold(
    headers: dict[str, str], serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(gateway.address + "/", headers=headers) as answer:
        assert answer.status == 403


def test_it_reads_only_fields_that_the_view_has() -> None:
    read = set(re.findall(r"\b(?:view|one)\.(\w+)", PAGE)) - {"textContent", "className"}
    kinds = (QueueView, BackendView, QueuedRequest, OtherRequests)
    assert len(read) > 12
    assert read <= {field for kind in kinds for field in kind.__struct_fields__}


def test_it_loads_nothing_and_writes_no_html_of_others() -> None:
    assert not re.search(r"https?://|innerHTML|src=", PAGE)
