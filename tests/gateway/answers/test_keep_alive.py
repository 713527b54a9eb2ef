"""A stream that waits stays alive through proxies that cut silent connections."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.core.request import State
from headway.gateway.answers.keep_alive import KeepAlive
from headway.gateway.server import Gateway

CHAT = "/v1/chat/completions"
SILENT_S = 0.05


@pytest.fixture
async def engine() -> ExactEngine:
    return ExactEngine()


@pytest.fixture
async def busy(serve: Serve, engine: ExactEngine) -> Gateway:
    """A gateway whose only slot is taken."""
    gateway = await serve(engine, keep_alive_s=SILENT_S)
    client = client_of(gateway)
    task = asyncio.ensure_future(
        client.chat.completions.create(model="counter", messages=HELLO, max_tokens=3)
    )
    await until(lambda: engine.running == 1)
    task.add_done_callback(lambda done: done.exception())
    return gateway


def body(**fields: object) -> dict[str, object]:
    return {"model": "counter", "messages": HELLO, "max_tokens": 2, "stream": True, **fields}


async def test_a_waiting_stream_gets_comments_then_its_answer(
    busy: Gateway, engine: ExactEngine, http: aiohttp.ClientSession
) -> None:
    async with http.post(busy.address + CHAT, json=body()) as answer:
        assert answer.status == 200
        assert "x-headway-queue-ms" not in answer.headers
        first = (await answer.content.readline()).decode()
        assert first.startswith(": waiting, 1st, about ")
        await answer.content.readline()
        busy.pool.hold("exact", True)
        while "about" in (held := (await answer.content.readline()).decode().strip()) or not held:
            pass
        assert held == ": waiting, 1st, until a backend is there"
        busy.pool.hold("exact", False)
        engine.allow()
        rest = (await answer.content.read()).decode()
    events = [line for line in rest.splitlines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    texts = [json.loads(event[6:])["choices"][0]["delta"].get("content") for event in events[:-1]]
    assert "".join(text or "" for text in texts) == "0 1 "


async def test_the_official_client_skips_comments(busy: Gateway, engine: ExactEngine) -> None:
    stream = client_of(busy).chat.completions.create(
        model="counter", messages=HELLO, max_tokens=2, stream=True
    )
    asked = asyncio.ensure_future(stream)
    await asyncio.wait_for(asked, 5)  # its headers came with the first comment
    engine.allow()
    texts = [chunk.choices[0].delta.content or "" async for chunk in asked.result()]
    assert "".join(texts) == "0 1 "


async def test_a_silent_run_says_that_it_runs(
    serve: Serve, engine: ExactEngine, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(engine, keep_alive_s=SILENT_S)
    async with http.post(gateway.address + CHAT, json=body()) as answer:
        assert await answer.content.readline() == b": running\n"
        engine.allow()
        assert (await answer.content.read()).endswith(b"data: [DONE]\n\n")


async def test_an_error_after_a_comment_is_an_event(
    busy: Gateway, http: aiohttp.ClientSession
) -> None:
    async with http.post(busy.address + CHAT, json=body()) as answer:
        await answer.content.readline()
        busy.dispatcher.close()
        rest = await answer.content.read()
    assert b'"code":"shutting_down"' in rest and rest.endswith(b"data: [DONE]\n\n")


async def test_a_whole_answer_gets_none(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend, keep_alive_s=SILENT_S)
    backend.open.clear()
    asked = asyncio.ensure_future(
        http.post(gateway.address + CHAT, json={"model": "fake", "messages": HELLO})
    )
    await until(lambda: backend.running == 1)
    done, _ = await asyncio.wait((asked,), timeout=3 * SILENT_S)
    assert not done
    backend.open.set()
    async with await asked as answer:
        assert (await answer.json())["object"] == "chat.completion"


async def test_between_two_comments_others_have_their_turn() -> None:
    turns: list[str] = []

    class Silent:
        def silent_s(self) -> float:
            return 10.0

        async def comment(self, text: str, headers: object) -> None:
            turns.append("comment")

    class Running:
        request = SimpleNamespace(state=State.RUNNING)

    accounts: Any = SimpleNamespace(headers=lambda work: {})
    watch: Any = KeepAlive(None, accounts, every_s=0.01)  # type: ignore[arg-type]
    for _ in range(5):
        watch.watch(Running(), Silent())
    watch.start()
    while turns.count("comment") < 5:
        turns.append("other")
        await asyncio.sleep(0)
    await watch.stop()
    assert "comment comment" not in " ".join(turns)
