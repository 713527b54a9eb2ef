"""The official client works unchanged."""

from __future__ import annotations

import asyncio

import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import WORDS, FakeBackend

ANSWER = "".join(WORDS)


async def test_chat_completion(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:
        answer = await client.chat.completions.create(model="fake", messages=HELLO)
    assert answer.choices[0].message.content == ANSWER
    assert answer.usage.completion_tokens == 100
    headway = answer.usage.headway
    assert headway["backend"] == "b0" and headway["policy"] == "srpt"
    assert headway["output_tokens"] == 100
    assert headway["total_ms"] >= headway["ttft_ms"] >= headway["queue_ms"] >= 0
    assert not headway["preemptible"]
    assert "token ids" in headway["not_preemptible_because"]


def test_the_synchronous_client(address: str) -> None:
    with openai.OpenAI(base_url=address + "/v1", api_key="x") as client:
        answer = client.chat.completions.create(model="default", messages=HELLO)
        assert answer.choices[0].message.content == ANSWER
        stream = client.chat.completions.create(model="default", messages=HELLO, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER


@pytest.mark.parametrize("include_usage", [False, True])
async def test_streaming(serve: Serve, backend: FakeBackend, include_usage: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    async with client_of(await serve(backend)) as client:
        stream = await client.chat.completions.create(
            model="default", messages=HELLO, stream=True, **options
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == ANSWER
    assert [c for c in chunks if not c.choices] == ([chunks[-1]] if include_usage else [])
    if include_usage:
        assert chunks[-1].usage.completion_tokens == 100
        assert chunks[-1].usage.headway["output_tokens"] == 100
    # The backend is asked in any case: this is how lengths are learned.
    assert backend.requests[0][1]["stream_options"] == {"include_usage": True}


async def test_completions_and_embeddings(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:
        answer = await client.completions.create(model="fake", prompt="Once")
        assert answer.choices[0].text == ANSWER
        stream = await client.completions.create(model="fake", prompt="Once", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == ANSWER
        vectors = await client.embeddings.create(model="fake", input=["a"], encoding_format="float")
        assert vectors.data[0].embedding == [0.25, 0.5, 0.75]


async def test_models(serve: Serve, backend: FakeBackend) -> None:
    backend.model = "org/with-slash"
    async with client_of(await serve(backend)) as client:
        names = [model.id async for model in client.models.list()]
        assert names == ["default", "org/with-slash"]
        assert (await client.models.retrieve("org/with-slash")).id == "org/with-slash"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nope")


async def test_unknown_fields_reach_the_backend_untouched(
    serve: Serve, backend: FakeBackend
) -> None:
    extra = {"min_p": 0.10, "my_field": {"deep": [1, None, "é"]}}
    async with client_of(await serve(backend)) as client:
        await client.chat.completions.create(
            model="default", messages=HELLO, temperature=0.5, extra_body=extra
        )
    _, body = backend.requests[0]
    assert body == {"model": "fake", "messages": HELLO, "temperature": 0.5, **extra}


async def test_priority_is_kept_from_backends_that_do_not_know_it(
    serve: Serve, backend: FakeBackend
) -> None:
    async with client_of(await serve(backend)) as client:
        await client.chat.completions.create(
            model="fake", messages=HELLO, extra_body={"priority": 3}
        )
    assert "priority" not in backend.requests[0][1]


async def test_response_headers_tell_how_it_was_scheduled(
    serve: Serve, backend: FakeBackend
) -> None:
    async with client_of(await serve(backend)) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="fake",
            messages=HELLO,
            service_tier="priority",
            extra_headers={"x-headway-expected-tokens": "42"},
        )
    headers = raw.headers
    assert headers["x-headway-tier"] == "interactive"
    assert headers["x-headway-backend"] == "b0"
    assert headers["x-headway-predicted-tokens"] == "42"
    assert float(headers["x-headway-queue-ms"]) >= 0
    assert raw.parse()._request_id == headers["x-headway-request-id"]


async def test_errors_are_the_client_s_own_kinds(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:
        with pytest.raises(openai.NotFoundError) as raised:
            await client.chat.completions.create(model="nope", messages=HELLO)
        assert raised.value.code == "model_not_found"
        assert "fake" in raised.value.message
        with pytest.raises(openai.BadRequestError) as raised:
            await client.chat.completions.create(model="fake", messages=HELLO, max_tokens=-2)
        assert raised.value.param == "max_tokens"
        backend.faults.append((400, {"error": {"message": "no such tool", "type": "x"}}))
        with pytest.raises(openai.BadRequestError, match="no such tool"):
            await client.chat.completions.create(model="fake", messages=HELLO)


async def test_a_timeout_and_a_cancelled_task_free_the_slot(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, slots=1)
    backend.open.clear()
    async with client_of(gateway, timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="fake", messages=HELLO)
        await until(lambda: not gateway.dispatcher.works and backend.running == 0)
        task = asyncio.ensure_future(
            client.chat.completions.create(model="fake", messages=HELLO, timeout=60)
        )
        await until(lambda: backend.running == 1)
        task.cancel()
        await until(lambda: not gateway.dispatcher.works and backend.running == 0)
        backend.open.set()
        await client.chat.completions.create(model="fake", messages=HELLO, timeout=10)


async def test_exact_engines_answer_the_same_way(serve: Serve) -> None:
    engine = ExactEngine()
    engine.allow()
    async with client_of(await serve(engine)) as client:
        answer = await client.chat.completions.create(model="default", messages=HELLO, max_tokens=3)
        assert answer.choices[0].message.content == "0 1 2 "
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.prompt_tokens == 5 and answer.usage.completion_tokens == 3
        assert answer.usage.headway["preemptible"]
        stream = await client.chat.completions.create(
            model="default",
            messages=HELLO,
            max_tokens=3,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "0 1 2 "
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
        assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 8
        text = await client.completions.create(model="counter", prompt="x", max_tokens=2)
        assert text.choices[0].text == "0 1 "
        parts = await client.completions.create(
            model="counter", prompt="x", max_tokens=2, stream=True
        )
        assert [part.choices[0].text async for part in parts] == ["0 ", "1 ", ""]
