"""The same Idempotency-Key gets the same answer, which is paid once."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from tests.gateway.conftest import HELLO, Serve
from tests.gateway.fake_backend import FakeBackend

ASKED = {"model": "fake", "messages": HELLO}


async def post(
    http: aiohttp.ClientSession, address: str, key: str, body: dict[str, Any] | None = None
) -> tuple[int, Any, bool]:
    headers = {"idempotency-key": key}
    url = f"{address}/v1/chat/completions"
    async with http.post(url, json=body or ASKED, headers=headers) as answer:
        return answer.status, await answer.json(), "idempotent-replayed" in answer.headers


async def test_a_second_request_gets_the_answer_of_the_first(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    first = await post(http, gateway.address, "one")
    second = await post(http, gateway.address, "one")
    other = await post(http, gateway.address, "two")
    assert first[0] == second[0] == 200
    assert second[1] == first[1]
    assert (first[2], second[2], other[2]) == (False, True, False)
    assert len(backend.requests) == 2


async def test_a_request_waits_for_the_one_that_is_served(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.open.clear()
    asking = [asyncio.create_task(post(http, gateway.address, "one")) for _ in range(3)]
    while not backend.running:
        await asyncio.sleep(0.01)
    backend.open.set()
    answers = await asyncio.gather(*asking)
    assert [status for status, _, _ in answers] == [200] * 3
    assert sorted(repeated for _, _, repeated in answers) == [False, True, True]
    assert len(backend.requests) == 1


async def test_if_the_first_client_leaves_the_next_one_is_served(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.open.clear()
    first = asyncio.create_task(post(http, gateway.address, "one"))
    while not backend.running:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(post(http, gateway.address, "one"))
    first.cancel()
    while not backend.aborted:
        await asyncio.sleep(0.01)
    backend.open.set()
    status, _, repeated = await second
    assert (status, repeated) == (200, False)


async def test_an_error_is_not_kept(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.faults.append((400, {"error": {"message": "not now"}}))
    assert (await post(http, gateway.address, "one"))[0] == 400
    assert (await post(http, gateway.address, "one"))[0] == 200


async def test_a_key_with_another_request_is_refused(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    await post(http, gateway.address, "one")
    status, body, _ = await post(http, gateway.address, "one", ASKED | {"temperature": 0.5})
    assert status == 422
    assert "use a new key for each request" in body["error"]["message"]
