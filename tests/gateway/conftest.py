"""Gateways with fake backends, each on a port of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.doubles import EnginePool
from tests.gateway.fake_backend import FakeBackend
from tests.models.functions_source import function
from tests.models.graphs import doubled, echoed, embedder

from headway.batches.settings import BatchSettings
from headway.core.batching import BatchingSettings
from headway.engines.endpoint import Endpoint
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.models.catalog import Catalog
from headway.models.instances import Instances
from headway.models.served import ServedModel
from headway.models.source import ModelSource, source_of
from headway.prompts.watched import WatchedRegistry
from headway.store.request_log import RequestLog
from headway.store.responses import ResponseStore
from headway.traces.tracer import Tracer

HELLO = [{"role": "user", "content": "Hello!"}]

GRAPHS = ("doubled.onnx", "three.onnx", "echoed.onnx")

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
def log(tmp_path: Path) -> Iterator[RequestLog]:
    """A request log of a gateway; it writes at once, prompts too."""
    log = RequestLog(tmp_path / "requests.db", keep_prompts=True, batch_s=0.0)
    yield log
    log.close()


@pytest.fixture
def serve(stack: AsyncExitStack) -> Serve:
    """Start a gateway: `await serve(backend, slots=2, policy settings…)`."""
    return serving(stack)


def serving(stack: AsyncExitStack) -> Serve:
    """Starts gateways that end with `stack`."""

    async def serve(
        *backends: Any,
        slots: int = 8,
        settings: GatewaySettings | None = None,
        catalog: Catalog | None = None,
        endpoint: dict[str, Any] | None = None,
        responses: ResponseStore | None = None,
        batches: BatchSettings | None = None,
        request_log: RequestLog | None = None,
        tracer: Tracer | None = None,
        profiles: Sequence[str] = (),
        prompts: Path | None = None,
        **options: Any,
    ) -> Gateway:
        settings = settings or GatewaySettings(port=0, **options)
        watched = None if prompts is None else WatchedRegistry(prompts)
        if backends and not isinstance(backends[0], FakeBackend):
            pool = EnginePool(*backends)
            gateway = Gateway(
                settings,
                pool=pool,
                responses=responses,
                batches=batches,
                request_log=request_log,
                tracer=tracer,
                profiles=profiles,
                prompts=watched,
            )
        else:
            endpoints = [
                Endpoint(
                    name=f"b{number}", url=backend.url, max_concurrency=slots, **(endpoint or {})
                )
                for number, backend in enumerate(backends)
            ]
            gateway = Gateway(
                settings,
                endpoints,
                catalog=catalog,
                responses=responses,
                batches=batches,
                request_log=request_log,
                tracer=tracer,
                profiles=profiles,
                prompts=watched,
            )
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        return gateway

    return serve


@contextmanager
def in_thread(
    catalog: Catalog | None, with_backend: bool, batches: BatchSettings | None = None
) -> Iterator[str]:
    """The address of a gateway in a thread of its own: for clients that block."""
    started: list[str] = []
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        backend = FakeBackend()
        await backend.start()
        endpoints = [Endpoint("b0", backend.url)] if with_backend else []
        settings = GatewaySettings(port=0)
        gateway = Gateway(settings, endpoints, catalog=catalog, batches=batches)
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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small models: `text`, which embeds, and `doubled.onnx`."""
    folder = tmp_path_factory.mktemp("models")
    embedder(folder / "text")
    doubled(folder / "doubled.onnx")
    doubled(folder / "three.onnx", rows=3)
    echoed(folder / "echoed.onnx")
    return folder


@pytest.fixture(scope="module")
def address(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway over a fake backend, with models of its own that embed and classify."""
    catalog = catalog_of("mood", text=source_of(str(tiny / "text")))
    batches = BatchSettings(tmp_path_factory.mktemp("batches"))
    with in_thread(catalog, with_backend=True, batches=batches) as address:
        yield address


@pytest.fixture(scope="session")
def models(tiny: Path) -> Iterator[str]:
    """The address of a gateway that has only models that answer whole batches."""
    sources = {name: source_of(str(tiny / name)) for name in ("text", *GRAPHS)}
    functions = ("Picky", "upper", "vectors", "overlap", "mood", "few", "not_a_number", "tensors")
    with in_thread(catalog_of(*functions, "Unloadable", **sources), with_backend=False) as address:
        yield address


def catalog_of(*functions: str, **sources: ModelSource) -> Catalog:
    """Functions of `tests/models/functions.py`, and other models, loaded when they are asked."""
    named = {name.removesuffix(".onnx"): source for name, source in sources.items()}
    named |= {name: function(name) for name in functions}
    return Catalog(
        [
            ServedModel(name, Instances(source, 1, threads=1), BatchingSettings())
            for name, source in named.items()
        ]
    )


@pytest.fixture
async def http(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


def client_of(gateway: Gateway, **options: Any) -> openai.AsyncOpenAI:
    options = {"api_key": "none", "max_retries": 0, **options}
    return openai.AsyncOpenAI(base_url=gateway.address + "/v1", **options)


def ask(gateway: Gateway, text: str, max_tokens: int = 3, **options: Any) -> asyncio.Task[Any]:
    """What `text` is answered by the engine that counts."""
    return asyncio.ensure_future(
        client_of(gateway).completions.create(
            model="counter", prompt=text, max_tokens=max_tokens, **options
        )
    )


async def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Wait until `condition` holds; fail after `limit_s`."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)
