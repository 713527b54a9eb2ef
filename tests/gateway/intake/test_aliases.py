"""Names that operators give to models: what clients ask for, and what backends are asked for."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve, catalog_of, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.engines.endpoint import Endpoint
from headway.gateway.intake.aliases import Aliases
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("qwen", "qwen"),
        ("gpt-4o", "qwen"),
        ("small", "large"),  # an alias goes before a model of that name
        ("gpt-4o-mini", "mini"),  # the longest wildcard
        ("gpt-5", "qwen"),
        ("gpt-4x", "gpt-4*"),  # a backend's own wildcard
        ("claude.3", "claude.*"),
        ("claudeX3", "claudeX3"),  # only * is a wildcard
        ("so-called", "gpt-4*"),  # what an alias means may fit a backend's wildcard
        ("nobody", "nobody"),
    ],
)
def test_what_a_name_means(asked: str, meant: str) -> None:
    aliases = Aliases(
        {
            "gpt-4o": "qwen",
            "small": "large",
            "gpt-*": "qwen",
            "gpt-4o-*": "mini",
            "so-*": "gpt-4-turbo",
        }
    )
    known = ["qwen", "mini", "large", "small", "gpt-4*", "claude.*"]
    assert aliases.model(asked, known) == meant
    assert aliases.listed(known) == ["qwen", "mini", "large", "small", "gpt-4o"]


async def start(stack: AsyncExitStack, backends: Any, **options: Any) -> Gateway:
    endpoints = [
        Endpoint(f"b{number}", backend.url, max_concurrency=1, models=models)
        for number, (backend, models) in enumerate(backends)
    ]
    gateway = Gateway(GatewaySettings(port=0, **options), endpoints)
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    return gateway


async def test_backends_that_name_a_model_differently_share_its_queue(
    stack: AsyncExitStack,
) -> None:
    one, two = FakeBackend("Qwen/Qwen3"), FakeBackend("qwen3:8b")
    for backend in (one, two):
        await backend.start()
        stack.push_async_callback(backend.stop)
        backend.open.clear()
    backends = [(one, {"qwen": "Qwen/Qwen3"}), (two, {"qwen": "qwen3:8b", "gpt-*": "qwen3:8b"})]
    gateway = await start(stack, backends)
    async with client_of(gateway) as client, client_of(gateway) as other:
        asked = [
            client.chat.completions.create(model="qwen", messages=HELLO),
            other.chat.completions.create(model="qwen", messages=HELLO),
        ]
        running = [asyncio.ensure_future(one) for one in asked]
        await until(lambda: one.running == two.running == 1)
        assert one.requests[-1][1]["model"] == "Qwen/Qwen3"
        assert two.requests[-1][1]["model"] == "qwen3:8b"
        one.open.set()
        two.open.set()
        answers = [await answer for answer in running]
        assert {answer.model for answer in answers} == {"Qwen/Qwen3", "qwen3:8b"}
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        assert [chunk async for chunk in stream]
        assert two.requests[-1][1]["model"] == "qwen3:8b"
        assert [model.id async for model in client.models.list()] == ["default", "qwen"]
        assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"


async def test_aliases_are_for_all_backends_and_listed(
    stack: AsyncExitStack, backend: FakeBackend
) -> None:
    aliases = {"gpt-4o": "fake", "claude-*": "fake", "lost": "none"}
    gateway = await start(stack, [(backend, {})], aliases=aliases)
    async with client_of(gateway) as client:
        for name in ("gpt-4o", "claude-opus", "fake"):
            await client.chat.completions.create(model=name, messages=HELLO)
            assert backend.requests[-1][1]["model"] == "fake"
        listed = [model.id async for model in client.models.list()]
        assert listed == ["default", "fake", "gpt-4o"]


async def test_a_model_takes_what_all_of_its_backends_take_whatever_it_is_called(
    stack: AsyncExitStack, backend: FakeBackend
) -> None:
    other = FakeBackend()
    backend.inputs, other.inputs = ["text", "image", "audio"], ["text", "image"]
    await other.start()
    stack.push_async_callback(other.stop)
    gateway = await start(stack, [(backend, {}), (other, {})], aliases={"gpt-4o": "fake"})
    async with client_of(gateway) as client:
        listed = {model.id: model async for model in client.models.list()}
        one = await client.models.retrieve("gpt-4o")
    for model in (*listed.values(), one):
        assert (model.model_extra or {})["architecture"]["input_modalities"] == ["text", "image"]
    assert set(listed) == {"default", "fake", "gpt-4o"}


async def test_an_answer_made_here_names_the_model_as_the_client_did(serve: Serve) -> None:
    engine = ExactEngine()
    engine.allow()
    gateway = await serve(engine, aliases={"gpt-*": "counter"})
    async with client_of(gateway) as client:
        for asked, named in (("gpt-4o", "gpt-4o"), ("counter", "counter"), ("default", "counter")):
            answer = await client.completions.create(model=asked, prompt="x", max_tokens=2)
            assert answer.model == named
            stream = await client.completions.create(
                model=asked, prompt="x", max_tokens=2, stream=True
            )
            assert {chunk.model async for chunk in stream} == {named}


async def test_default_may_be_an_alias(stack: AsyncExitStack, backend: FakeBackend) -> None:
    gateway = await start(stack, [(backend, {"a": "fake", "b": "other"})], aliases={"default": "b"})
    async with client_of(gateway) as client:
        await client.chat.completions.create(model="default", messages=HELLO)
    assert backend.requests[-1][1]["model"] == "other"


async def test_models_that_answer_batches_have_aliases_too(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(
        catalog=catalog_of("mood"), aliases={"sentiment": "mood", "feel-*": "mood"}
    )
    for name in ("sentiment", "feel-good", "mood"):
        asked = {"model": name, "input": "What a day"}
        async with http.post(f"{gateway.address}/v1/classify", json=asked) as answer:
            assert answer.status == 200, await answer.text()
    async with http.get(f"{gateway.address}/v1/models") as answer:
        listed = [model["id"] for model in (await answer.json())["data"]]
    assert listed == ["default", "mood", "sentiment"]
    async with http.get(f"{gateway.address}/v1/models/sentiment") as answer:
        assert (await answer.json())["id"] == "sentiment"


async def test_an_alias_of_a_model_that_is_not_there_says_so(
    stack: AsyncExitStack, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await start(stack, [(backend, {})], aliases={"lost": "none"})
    asked = {"model": "lost", "messages": HELLO}
    async with http.post(f"{gateway.address}/v1/chat/completions", json=asked) as answer:
        error = (await answer.json())["error"]
    assert answer.status == 404
    assert "The model 'none', which 'lost' stands for, does not exist" in error["message"]
