"""Calls of models wait for a gateway that is started again, and not for one that never was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from tests.redis_server import free_port

from headway.workflows.llm import TRIES, Gateway, Refused

BODY = {"model": "default", "messages": []}


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[None]:
    async def chat(request: web.Request) -> web.Response:
        return web.json_response({"choices": [{"message": {"content": "here"}}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield
    await runner.cleanup()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which take no time."""
    taken: list[float] = []

    def wait_s(*_: object) -> float:
        taken.append(0.0)
        return 0.001

    monkeypatch.setattr("headway.workflows.llm.backoff_s", wait_s)
    return taken


@pytest.mark.parametrize("patient", [True, False])
async def test_a_gateway_that_is_started_again_is_waited_for(
    waits: list[float], patient: bool, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    gateway = Gateway(f"http://127.0.0.1:{port}", patient=patient)
    if not patient:  # one that has answered is waited for in any case
        async with serving(port):
            await gateway.chat(BODY, None)
    calls = [asyncio.create_task(gateway.chat(BODY, None)) for _ in range(2)]
    while len(waits) < 4 * TRIES:
        await asyncio.sleep(0)
    async with serving(port):
        assert [answer.text for answer in await asyncio.gather(*calls)] == ["here", "here"]
    await gateway.close()
    assert caplog.text.count("connection refused") == 1


async def test_a_gateway_that_never_answered_is_reported_soon(waits: list[float]) -> None:
    gateway = Gateway(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Refused, match="is `headway serve` up"):
        await gateway.chat(BODY, None)
    assert len(waits) == TRIES - 1
    await gateway.close()


async def test_no_gateway_is_waited_for_without_end(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.workflows.llm.PATIENCE_S", 0.0)
    gateway = Gateway(f"http://127.0.0.1:{free_port()}", patient=True)
    with pytest.raises(Refused, match="connection refused"):
        await gateway.chat(BODY, None)
    await gateway.close()
