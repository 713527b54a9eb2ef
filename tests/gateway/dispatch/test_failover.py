"""Backends die; requests do not."""

from __future__ import annotations

import asyncio

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import WORDS, FakeBackend

from headway.engines.engine import BackendSilent
from headway.engines.patience import Patience
from headway.gateway.dispatch import silence
from headway.gateway.work import retries

ANSWER = "".join(WORDS)


async def read(stream: object) -> str:
    return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


async def test_a_stream_goes_on_elsewhere_when_its_backend_dies(serve: Serve) -> None:
    one, other = ExactEngine("one"), ExactEngine("other")
    one.dies_at = 7
    one.allow()
    other.allow()
    gateway = await serve(one, other)
    async with client_of(gateway) as client:
        stream = await client.chat.completions.create(
            model="counter",
            messages=HELLO,
            max_tokens=30,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "".join(f"{number} " for number in range(30))
    assert chunks[-1].usage.headway["failovers"] >= 1
    assert chunks[-1].usage.headway["backend"] == "other"
    assert other.starts == [7]
    assert gateway.pool.failures[0][0] == "one"


async def test_a_stream_goes_on_elsewhere_when_its_backend_falls_silent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "LOOK_EVERY_S", 0.05)
    one, other = ExactEngine("one"), ExactEngine("other")
    gateway = await serve(one, other)
    gateway.pool.patiences = {name: Patience(5.0, 0.2) for name in ("one", "other")}
    async with client_of(gateway) as client:
        one.allow(4)
        stream = await client.chat.completions.create(
            model="counter", messages=HELLO, max_tokens=8, stream=True
        )
        await until(lambda: one.tokens.locked())
        other.allow()
        assert await read(stream) == "0 1 2 3 4 5 6 7 "
    assert other.starts == [4] and one.running == 0
    assert isinstance(gateway.pool.failures[0][1], BackendSilent)


async def test_an_engine_with_another_vocabulary_does_not_go_on(serve: Serve) -> None:
    one, other = ExactEngine("one"), ExactEngine("other", vocabulary="different")
    one.allow()
    other.allow()
    one.dies_at = 3
    gateway = await serve(one, other)
    async with client_of(gateway) as client:
        stream = await client.chat.completions.create(
            model="counter", messages=HELLO, max_tokens=9, stream=True
        )
        await until(lambda: bool(gateway.pool.failures))
        one.dies_at = None
        gateway.pool.set("one")
        assert await read(stream) == "0 1 2 3 4 5 6 7 8 "
    assert other.starts == []


async def test_a_request_waits_for_its_only_backend_to_come_back(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    async with client_of(gateway) as client:
        engine.allow(4)
        stream = await client.chat.completions.create(
            model="counter", messages=HELLO, max_tokens=8, stream=True
        )
        await until(lambda: engine.tokens.locked())
        gateway.pool.set("exact", healthy=False)
        await until(lambda: engine.running == 0)
        async with http.get(gateway.address + "/readyz") as answer:
            assert answer.status == 503
        gateway.pool.set("exact")
        engine.allow()
        assert await read(stream) == "0 1 2 3 4 5 6 7 "
    assert engine.starts == [0, 4]


async def test_a_forwarded_request_is_tried_again_while_no_byte_was_sent(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend)
    async with client_of(gateway) as client:
        backend.faults += ["break", (503, {"error": {"message": "loading"}})]
        answer = await client.chat.completions.create(model="fake", messages=HELLO)
        assert answer.choices[0].message.content == ANSWER
        assert answer.usage.headway["failovers"] >= 1
        backend.faults.append("break")
        stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
        assert await read(stream) == ANSWER


async def test_it_is_given_up_after_so_many_attempts(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, attempts=2)
    backend.faults += ["break"] * 10
    async with client_of(gateway) as client:
        with pytest.raises(openai.InternalServerError, match="in a row") as raised:
            await client.chat.completions.create(model="fake", messages=HELLO, timeout=10)
    assert raised.value.status_code == 502 and raised.value.code == "backend_lost"
    assert not gateway.dispatcher.works


async def test_a_forwarded_stream_that_breaks_ends_with_a_clear_error(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend)
    backend.break_after = 10
    async with client_of(gateway) as client:
        stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
        texts: list[str] = []
        with pytest.raises(openai.APIError, match="broke off") as raised:
            async for chunk in stream:
                texts.append(chunk.choices[0].delta.content or "")
        assert raised.value.code == "backend_lost"
        assert "".join(texts) == "".join(WORDS[:10])
    await until(lambda: not gateway.dispatcher.works)


async def test_an_unreachable_backend_is_waited_for_and_then_told(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend, unavailable_wait_s=0.2)
    async with client_of(gateway) as client:
        await backend.stop()
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="fake", messages=HELLO, timeout=20)
        assert raised.value.status_code in (502, 503)
        async with http.get(gateway.address + "/readyz") as answer:
            assert answer.status == 503
        await backend.start()
        await until(lambda: gateway.pool.statuses["b0"].healthy, 15)
        await client.chat.completions.create(model="fake", messages=HELLO)
        async with http.get(gateway.address + "/readyz") as answer:
            assert answer.status == 200


async def test_a_request_that_comes_before_its_backend_waits_for_it(serve: Serve) -> None:
    late = FakeBackend()
    await late.start()
    await late.stop()
    gateway = await serve(late)
    async with client_of(gateway) as client:
        answer = asyncio.ensure_future(
            client.chat.completions.create(model="default", messages=HELLO)
        )
        await late.start()
        assert (await answer).choices[0].message.content
    await late.stop()


async def test_a_backend_that_was_never_there(serve: Serve) -> None:
    missing = FakeBackend()
    await missing.start()
    await missing.stop()
    gateway = await serve(missing, unavailable_wait_s=0.1)
    async with client_of(gateway) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="default", messages=HELLO)
        assert (raised.value.status_code, raised.value.code) == (503, "no_backend")
        await missing.start()
        await until(lambda: bool(gateway.pool.models()), 15)
        await client.chat.completions.create(model="default", messages=HELLO)
    await missing.stop()


async def test_a_client_that_leaves_frees_the_slot_at_once(serve: Serve) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    engine.allow(3)
    async with client_of(gateway) as client:
        stream = await client.chat.completions.create(
            model="counter", messages=HELLO, max_tokens=50, stream=True
        )
        await anext(stream)
        waiting = asyncio.ensure_future(
            client.chat.completions.create(model="counter", messages=HELLO, max_tokens=2)
        )
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        await stream.close()
        await until(lambda: len(engine.starts) == 2)
        engine.allow()
        assert (await waiting).choices[0].message.content == "0 1 "
    assert engine.most_running == 1
    assert gateway.dispatcher.running_on("exact") == 0


async def test_a_pause_before_the_next_run_ends_when_the_backend_comes_up_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_S", 60.0)
    one = ExactEngine("one")
    one.allow()
    one.dies_at = 3
    gateway = await serve(one)
    failures: list[str] = []
    monkeypatch.setattr(gateway.pool, "failed", lambda name, request, error: failures.append(name))
    async with client_of(gateway) as client:
        asked = asyncio.ensure_future(
            client.chat.completions.create(model="counter", messages=HELLO, max_tokens=6)
        )
        await until(lambda: bool(failures) and not gateway.dispatcher.running_on("one"))
        one.dies_at = None
        gateway.pool.set("one", healthy=False)
        gateway.pool.set("one")
        answer = await asked
    assert answer.choices[0].message.content == "0 1 2 3 4 5 "


async def test_a_request_that_hung_waits_for_a_backend_that_is_busy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "LOOK_EVERY_S", 0.05)
    one, other = ExactEngine("one"), ExactEngine("other")
    gateway = await serve(one, other)
    gateway.pool.patiences = {name: Patience(0.2, 5.0) for name in ("one", "other")}
    gateway.pool.set("other", slots=0)
    async with client_of(gateway) as client:
        asked = asyncio.ensure_future(
            client.chat.completions.create(model="counter", messages=HELLO, max_tokens=4)
        )
        await until(lambda: bool(gateway.pool.failures))
        gateway.pool.set("one", slots=0)
        other.allow()
        gateway.pool.set("other")
        answer = await asked
    assert answer.choices[0].message.content == "0 1 2 3 "
