"""Gateways with fake backends, each on a port of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.doubles import EnginePool
from tests.gateway.fake_backend import FakeBackend

from headway.engines.endpoint import Endpoint
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings

HELLO = [{"role": "user", "content": "Hello!"}]

Serve = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def backend(stack: AsyncExitStack) -> FakeBackend:
    backend = FakeBackend()
    await backend.start()
    stack.push_async_callback(backend.stop)
    return backend


@pytest.fixture
def serve(stack: AsyncExitStack) -> Serve:
    """Start a gateway: `await serve(backend, slots=2, policy settings…)`."""

    async def serve(
        *backends: Any, slots: int = 8, settings: GatewaySettings | None = None, **options: Any
    ) -> Gateway:
        settings = settings or GatewaySettings(port=0, **options)
        if backends and not isinstance(backends[0], FakeBackend):
            gateway = Gateway(settings, pool=EnginePool(*backends))
        else:
            endpoints = [
                Endpoint(name=f"b{number}", url=backend.url, max_concurrency=slots)
                for number, backend in enumerate(backends)
            ]
            gateway = Gateway(settings, endpoints)
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        return gateway

    return serve


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A gateway over a fake backend, in a thread of its own: for clients that block."""
    started: list[str] = []
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        backend = FakeBackend()
        await backend.start()
        gateway = Gateway(GatewaySettings(port=0), [Endpoint("b0", backend.url)])
        await gateway.start()
        started.append(gateway.address)
        ready.set()
        await asyncio.to_thread(stop.wait)
        await gateway.stop()
        await backend.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield started[0]
    stop.set()
    thread.join()


@pytest.fixture
async def http(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


def client_of(gateway: Gateway, **options: Any) -> openai.AsyncOpenAI:
    options = {"api_key": "none", "max_retries": 0, **options}
    return openai.AsyncOpenAI(base_url=gateway.address + "/v1", **options)


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    """Wait until `condition` holds; fail after `limit_s`."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)
