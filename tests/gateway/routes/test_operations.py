"""What operators do while requests are under way."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, ask, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.core.settings import SchedulerSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey

FCFS = SchedulerSettings(policy="fcfs")


async def operate(
    gateway: Gateway, http: aiohttp.ClientSession, path: str, body: Any = None, **headers: str
) -> tuple[int, str]:
    """Returns the status, and the sentence in the answer."""
    url = f"{gateway.address}/v1/headway/{path}"
    async with http.post(url, json=body, headers=headers) as answer:
        said = await answer.json()
        return answer.status, said["done"] if answer.ok else said["error"]["message"]


async def busy(gateway: Gateway, engine: ExactEngine, waiting: int) -> list[Any]:
    """One request runs, and `waiting` wait behind it."""
    tasks = [ask(gateway, "runs", max_tokens=9)]
    await until(lambda: engine.running == 1)
    for number in range(waiting):
        tasks.append(ask(gateway, f"waits {number}"))
        await until(lambda: gateway.dispatcher.scheduler.waiting() == len(tasks) - 1)
    return tasks


async def test_a_request_is_cancelled_whether_it_waits_or_runs(
    serve: Serve, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=FCFS)
    tasks = await busy(gateway, engine, 2)
    with caplog.at_level(logging.INFO, logger="headway.gateway.routes.operations"):
        for task, name in zip(tasks[:2], list(gateway.dispatcher.works)[:2], strict=True):
            status, done = await operate(gateway, http, f"requests/{name}/cancel")
            assert (status, done) == (200, f"Request {name} is cancelled.")
            assert f"request {name} is cancelled, by somebody on this machine" in caplog.text
            with pytest.raises(openai.APIStatusError, match="An operator") as raised:
                await task
            assert raised.value.status_code == 410
    engine.allow()
    assert (await tasks[2]).choices[0].text
    status, message = await operate(gateway, http, "requests/none/cancel")
    assert status == 404 and "may have ended" in message


async def test_a_stream_that_is_cancelled_ends_with_the_error(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    engine.allow(2)
    async with client_of(gateway) as client:
        stream = await client.completions.create(model="counter", prompt="Hello!", stream=True)
        await anext(stream)
        (name,) = gateway.dispatcher.works
        await operate(gateway, http, f"requests/{name}/cancel")
        with pytest.raises(openai.APIError, match="An operator"):
            async for _ in stream:
                pass
    assert engine.running == 0


async def test_an_answer_that_is_only_forwarded_is_cancelled_too(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.open.clear()
    async with client_of(gateway) as client:
        chat = client.chat.completions.create(model="fake", messages=HELLO)
        asked = asyncio.ensure_future(chat)
        await until(lambda: backend.running == 1)
        (name,) = gateway.dispatcher.works
        await operate(gateway, http, f"requests/{name}/cancel")
        with pytest.raises(openai.APIStatusError, match="An operator"):
            await asked
    await until(lambda: backend.aborted == 1)


async def test_a_waiting_request_is_moved_to_another_tier(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=FCFS)
    tasks = await busy(gateway, engine, 2)
    running, first, second = gateway.dispatcher.works
    better = {"tier": "interactive"}
    status, done = await operate(gateway, http, f"requests/{second}/tier", better)
    assert (status, done) == (200, f"Request {second} moved from tier standard to interactive.")
    for name, why in ((second, "is in tier interactive already"), (running, "runs already")):
        status, message = await operate(gateway, http, f"requests/{name}/tier", better)
        assert status == 409 and why in message
    status, message = await operate(gateway, http, f"requests/{first}/tier", {"tier": "best"})
    assert status == 400 and "best" in message
    engine.allow()
    for task in tasks:
        await task


async def test_a_drained_backend_finishes_what_it_runs(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    tasks = await busy(gateway, engine, 1)
    assert await operate(gateway, http, "backends/exact/drain") == (200, "Backend exact drains.")
    status, message = await operate(gateway, http, "backends/exact/drain")
    assert status == 409 and "somebody on this machine did that" in message
    engine.allow()
    await tasks[0]
    assert gateway.dispatcher.scheduler.waiting() == 1, "it gets no new request"
    assert (await operate(gateway, http, "backends/exact/resume"))[0] == 200
    await tasks[1]
    assert (await operate(gateway, http, "backends/none/drain"))[0] == 404


async def test_a_real_server_is_drained_and_resumed(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    assert (await operate(gateway, http, "backends/b0/drain"))[0] == 200
    async with http.get(gateway.address + "/v1/headway/queue") as answer:
        view = (await answer.json())["backends"][0]
        assert view["healthy"] and view["slots"] == 0
    assert (await operate(gateway, http, "backends/b0/resume"))[0] == 200
    assert gateway.pool.statuses["b0"].slots == 8


async def test_the_policy_is_switched_once_by_two_operators(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine(), scheduler=FCFS)
    change = {"policy": "srpt", "instead_of": "fcfs"}
    assert await operate(gateway, http, "policy", change) == (200, "Policy fcfs -> srpt.")
    assert gateway.dispatcher.scheduler.policy_name == "srpt"
    status, message = await operate(gateway, http, "policy", {**change, "policy": "sjf"})
    assert status == 409
    assert "The policy is srpt by now: somebody on this machine did that" in message
    status, message = await operate(gateway, http, "policy", {"policy": "quickest"})
    assert status == 400 and "srpt" in message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("policy", {"policy": "srpt"}),
        ("requests/any/cancel", None),
        ("requests/any/tier", {"tier": "batch"}),
        ("backends/exact/drain", None),
        ("backends/exact/resume", None),
    ],
)
async def test_only_operators_may(
    path: str, body: Any, serve: Serve, http: aiohttp.ClientSession
) -> None:
    team = ApiKey("team", hash_key("team-key"))
    looker = ApiKey("wall", hash_key("wall-key"), admin=True, read_only=True)
    gateway = await serve(ExactEngine(), keys=(team, looker))
    assert (await operate(gateway, http, path, body))[0] == 401
    for key in ("team-key", "wall-key"):
        assert (await operate(gateway, http, path, body, Authorization=f"Bearer {key}"))[0] == 403
    gateway = await serve(ExactEngine())
    proxied = {"X-Forwarded-For": "1.2.3.4"}
    assert (await operate(gateway, http, path, body, **proxied))[0] == 403


@pytest.mark.parametrize("path", ["/console/api/session", "/v1/headway/policy"])
@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"policy": "sjf", "more": ' + "[" * 100_000, "\xff"]
)
async def test_what_is_no_such_json_is_refused(
    path: str, body: str, serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    async with http.post(gateway.address + path, data=body.encode("latin-1")) as answer:
        assert answer.status == 400, await answer.text()
