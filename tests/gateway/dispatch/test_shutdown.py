"""SIGTERM drains, a second one stops."""

from __future__ import annotations

import asyncio
import os
import signal

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, client_of, until
from tests.gateway.doubles import EnginePool, ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.engines.endpoint import Endpoint
from headway.gateway.process import serve
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings


async def started(gateway: Gateway) -> asyncio.Task[bool]:
    ready = asyncio.Event()
    task = asyncio.ensure_future(serve(gateway, lambda _: ready.set()))
    await asyncio.wait_for(ready.wait(), 5)
    return task


async def test_the_first_signal_drains(backend: FakeBackend, http: aiohttp.ClientSession) -> None:
    endpoints = [Endpoint("b0", backend.url, max_concurrency=1)]
    gateway = Gateway(GatewaySettings(port=0), endpoints)
    serving = await started(gateway)
    backend.open.clear()
    async with client_of(gateway) as client:
        asked = [
            asyncio.ensure_future(client.chat.completions.create(model="fake", messages=HELLO))
            for _ in range(2)
        ]
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: gateway.dispatcher.draining)
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="fake", messages=HELLO)
        assert (raised.value.status_code, raised.value.code) == (503, "shutting_down")
        async with http.get(gateway.address + "/readyz") as answer:
            assert answer.status == 503
        backend.open.set()
        for answer in await asyncio.gather(*asked):
            assert answer.usage.completion_tokens == 100
    assert await asyncio.wait_for(serving, 5)


async def test_the_second_signal_stops_at_once_and_tells_the_clients() -> None:
    engine = ExactEngine()
    gateway = Gateway(GatewaySettings(port=0), pool=EnginePool(engine))
    serving = await started(gateway)
    engine.allow(3)
    async with client_of(gateway) as client:
        stream = await client.chat.completions.create(
            model="counter", messages=HELLO, max_tokens=9, stream=True
        )
        waiting = asyncio.ensure_future(
            client.chat.completions.create(model="counter", messages=HELLO)
        )
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: gateway.dispatcher.draining)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(openai.APIError, match="shutting down"):
            async for _ in stream:
                pass
        with pytest.raises(openai.InternalServerError, match="shutting down"):
            await waiting
    assert not await asyncio.wait_for(serving, 5)
    assert engine.running == 0


async def test_what_is_forwarded_ends_with_an_error_when_the_time_for_a_drain_is_up(
    backend: FakeBackend,
) -> None:
    gateway = Gateway(GatewaySettings(port=0, drain_s=0.2), [Endpoint("b0", backend.url)])
    serving = await started(gateway)
    async with client_of(gateway) as client:
        backend.event_pause_s = 30.0
        stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
        backend.open.clear()
        whole = asyncio.ensure_future(client.chat.completions.create(model="fake", messages=HELLO))
        unsent = asyncio.ensure_future(
            client.chat.completions.create(model="fake", messages=HELLO, stream=True)
        )
        await until(lambda: backend.running == 3)
        os.kill(os.getpid(), signal.SIGTERM)
        for asked in (whole, unsent):
            with pytest.raises(openai.InternalServerError) as raised:
                await asked
            assert (raised.value.status_code, raised.value.code) == (503, "shutting_down")
        with pytest.raises(openai.APIError, match="shutting down"):
            async for _ in stream:
                pass
        assert not await asyncio.wait_for(serving, 10)


async def test_a_taken_port_is_an_os_error(backend: FakeBackend) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await serve(Gateway(GatewaySettings(port=backend.port)))
