"""A preempted request goes on where it stopped, and its client sees no break."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.core.settings import PreemptionSettings, SchedulerSettings

EAGER = SchedulerSettings(preemption=PreemptionSettings(min_run_s=0.0))


async def test_an_interactive_request_takes_the_slot_and_gives_it_back(serve: Serve) -> None:
    engine = ExactEngine(slots=1)
    gateway = await serve(engine, scheduler=EAGER)
    engine.allow(5)
    async with client_of(gateway) as client:
        long = await client.chat.completions.create(
            model="counter",
            messages=HELLO,
            max_tokens=200,
            service_tier="flex",
            stream=True,
            stream_options={"include_usage": True},
            timeout=20,
        )
        first = await anext(long)
        assert first.choices[0].delta.role == "assistant"
        urgent = asyncio.ensure_future(
            client.chat.completions.create(
                model="counter", messages=HELLO, max_tokens=3, service_tier="priority"
            )
        )
        await until(lambda: len(engine.starts) == 2)
        engine.allow(3)
        answer = await urgent
        assert answer.choices[0].message.content == "0 1 2 "
        engine.allow()
        chunks = [chunk async for chunk in long]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "".join(f"{number} " for number in range(200))
    usage = chunks[-1].usage
    assert usage.completion_tokens == 200
    assert usage.headway["preemptions"] == 1
    assert engine.starts[0] == 0 and engine.starts[1] == 0 and engine.starts[2] >= 5


@pytest.mark.parametrize("rounds", [30])
async def test_many_preemptions_lose_and_repeat_nothing(serve: Serve, rounds: int) -> None:
    engine = ExactEngine(slots=2)
    gateway = await serve(engine, scheduler=EAGER)
    engine.allow(10_000)
    async with client_of(gateway) as client:

        async def ask(tier: str, tokens: int) -> tuple[str, int]:
            stream = await client.chat.completions.create(
                model="counter",
                messages=HELLO,
                max_tokens=tokens,
                service_tier=tier,
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
            text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            return text, chunks[-1].usage.headway["preemptions"]

        lazy = [asyncio.ensure_future(ask("flex", 600)) for _ in range(3)]
        for _ in range(rounds):
            text, _ = await ask("priority", 5)
            assert text == "0 1 2 3 4 "
        for text, _preemptions in await asyncio.gather(*lazy):
            assert text == "".join(f"{number} " for number in range(600))
    assert engine.running == 0
    assert not gateway.dispatcher.works
    assert gateway.dispatcher.running_on("exact") == 0


async def test_what_cannot_be_continued_is_never_stopped_and_says_why(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    backend.open.clear()
    gateway = await serve(backend, slots=1, scheduler=EAGER)
    async with client_of(gateway) as client:
        batch = asyncio.ensure_future(
            client.chat.completions.create(model="fake", messages=HELLO, service_tier="flex")
        )
        await until(lambda: backend.running == 1)
        urgent = asyncio.ensure_future(
            client.chat.completions.create(model="fake", messages=HELLO, service_tier="priority")
        )
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        async with http.get(gateway.address + "/v1/headway/queue") as answer:
            view = await answer.json()
        running, waiting = view["requests"]
        assert (running["state"], running["tier"]) == ("running", "batch")
        assert "cannot continue" in running["not_preemptible_because"]
        assert (waiting["state"], waiting["tier"]) == ("waiting", "interactive")
        assert waiting["why"]
        backend.open.set()
        assert (await batch).usage.headway["preemptions"] == 0
        await urgent
