"""The console over HTTP: its files, and who gets in."""

from __future__ import annotations

import gzip

import aiohttp
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

from headway.console.assets import assets
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey

SESSION = "/console/api/session"
ADMIN = ApiKey("ops", hash_key("admin-key"), admin=True)
LOOKER = ApiKey("wall", hash_key("wall-key"), admin=True, read_only=True)
TEAM = ApiKey("team", hash_key("team-key"))
CHAT = {"model": "counter", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 1}


@pytest.fixture
async def gateway(serve: Serve) -> Gateway:
    engine = ExactEngine()
    engine.allow()
    return await serve(engine, keys=(ADMIN, LOOKER, TEAM))


async def sign_in(gateway: Gateway, http: aiohttp.ClientSession, key: str) -> str:
    """Returns the token that goes with the cookie."""
    async with http.post(gateway.address + SESSION, json={"key": key}) as answer:
        assert answer.status == 204, await answer.text()
    async with http.get(gateway.address + SESSION) as answer:
        return str((await answer.json())["csrf"])


@pytest.fixture
async def browser() -> aiohttp.ClientSession:
    """Keeps cookies, those of addresses without a name as well."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield session


@pytest.mark.parametrize("name", sorted(assets()))
async def test_each_file_is_packed_and_kept_by_browsers(
    name: str, serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    url = f"{gateway.address}/console/{name}"
    async with http.get(url) as answer:
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
        assert gzip.decompress(assets()[name].packed) == await answer.read()
        etag = answer.headers["ETag"]
    async with http.get(url, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


@pytest.mark.parametrize("name", ["assets.py", "none.js", "../gateway/server.py", "%2e%2e/x"])
async def test_nothing_else_is_served(name: str, serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(f"{gateway.address}/console/{name}") as answer:
        assert answer.status == 404


async def test_addresses_hold_below_any_prefix(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(gateway.address + "/console/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, "../console")


@pytest.mark.parametrize("headers", [{"X-Forwarded-For": "1.2.3.4"}, {"Forwarded": "for=1.2.3.4"}])
async def test_without_keys_it_is_off_for_other_machines(
    headers: dict[str, str], serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(gateway.address + SESSION) as answer:
        assert (await answer.json())["access"] == "open"
    async with http.get(gateway.address + SESSION, headers=headers) as answer:
        assert (await answer.json())["access"] == "off"
    async with http.post(gateway.address + SESSION, json={"key": "any"}) as answer:
        assert answer.status == 403


async def test_a_gateway_that_others_reach_is_not_open(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine(), host="0.0.0.0")
    port = gateway.address.rpartition(":")[2]
    async with http.get(f"http://127.0.0.1:{port}{SESSION}") as answer:
        assert (await answer.json())["access"] == "off"


async def test_a_session_does_what_its_key_may(
    gateway: Gateway, browser: aiohttp.ClientSession
) -> None:
    async with browser.get(gateway.address + SESSION) as answer:
        assert (await answer.json())["access"] == "sign_in"
    csrf = await sign_in(gateway, browser, "team-key")
    async with browser.get(gateway.address + SESSION) as answer:
        state = await answer.json()
        assert state["viewer"]["tenant"] == "team" and not state["may_operate"]
    url = gateway.address + "/v1/chat/completions"
    async with browser.post(url, json=CHAT) as answer:
        assert answer.status == 403, "another site could have made the browser send this"
    async with browser.post(url, json=CHAT, headers={"x-csrf-token": "wrong"}) as answer:
        assert answer.status == 403
    async with browser.post(url, json=CHAT, headers={"x-csrf-token": csrf}) as answer:
        assert answer.status == 200
        assert answer.headers["x-headway-tier"]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    async with http.post(gateway.address + SESSION, json={"key": "team-key"}) as answer:
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie
    proxied = {"X-Forwarded-Proto": "https"}
    async with http.post(
        gateway.address + SESSION, json={"key": "team-key"}, headers=proxied
    ) as answer:
        assert "Secure" in answer.headers["Set-Cookie"]


async def test_signing_out_ends_it(gateway: Gateway, browser: aiohttp.ClientSession) -> None:
    await sign_in(gateway, browser, "team-key")
    cookie = {one.key: one.value for one in browser.cookie_jar}
    async with browser.delete(gateway.address + SESSION) as answer:
        assert answer.status == 204
    async with browser.get(gateway.address + "/v1/models", cookies=cookie) as answer:
        assert answer.status == 401


async def test_a_revoked_key_takes_its_sessions_with_it(
    gateway: Gateway, browser: aiohttp.ClientSession
) -> None:
    await sign_in(gateway, browser, "team-key")
    await gateway.use_keys((ADMIN,))
    async with browser.get(gateway.address + "/v1/models") as answer:
        assert answer.status == 401


async def test_an_unknown_key_does_not_sign_in(
    gateway: Gateway, browser: aiohttp.ClientSession
) -> None:
    for body in ({"key": "guessed"}, {"key": ""}, {"cookie": 1}, [1]):
        async with browser.post(gateway.address + SESSION, json=body) as answer:
            assert answer.status in (400, 401), body


async def test_a_read_only_key_sees_all_and_changes_nothing(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    key = {"Authorization": "Bearer wall-key"}
    async with http.get(gateway.address + "/metrics", headers=key) as answer:
        assert answer.status == 200
    async with http.post(
        gateway.address + "/v1/chat/completions", json=CHAT, headers=key
    ) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == "read_only"
