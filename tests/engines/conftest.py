"""What the engine tests share: one real llama.cpp for all of them, and small fake servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from aiohttp import web

from headway.engines.embedded import EmbeddedServer
from headway.engines.llamacpp import LlamaCppEngine
from headway.engines.model_file import default_model

Serve = Callable[[web.Application], Awaitable[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[EmbeddedServer]:
    """The embedded engine with one slot, where continuing is exact."""
    embedded = EmbeddedServer(default_model(), slots=1, context_tokens=512)
    await embedded.start()
    yield embedded
    await embedded.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def llama(server: EmbeddedServer) -> AsyncIterator[LlamaCppEngine]:
    """A client of it that has described it."""
    assert server.endpoint is not None
    engine = LlamaCppEngine(server.endpoint)
    await engine.describe()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="function")
async def serve() -> AsyncIterator[Serve]:
    """Serves an aiohttp application on a free port and returns its URL."""
    runners: list[web.AppRunner] = []

    async def start(application: web.Application) -> str:
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()
