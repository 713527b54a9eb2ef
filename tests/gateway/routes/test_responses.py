"""/v1/responses by the official client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from pydantic import BaseModel
from tests.gateway.conftest import Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import WORDS, FakeBackend

from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey
from headway.store.responses import ResponseStore

ANSWER = "".join(WORDS)
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALL = {
    "content": None,
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
        }
    ],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResponseStore]:
    store = ResponseStore(tmp_path / "responses.db", 3600.0, 10_000_000)
    yield store
    store.close()


async def test_a_response_and_its_headers(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:
        raw = await client.responses.with_raw_response.create(
            model="default",
            instructions="Be brief.",
            input="Hello!",
            metadata={"headway_tier": "batch"},
        )
    response = raw.parse()
    assert response.output_text == ANSWER and response.status == "completed"
    assert response.usage.output_tokens == 100 and response.usage.input_tokens == 7
    assert response.usage.headway["tier"] == raw.headers["x-headway-tier"] == "batch"
    assert response._request_id == raw.headers["x-headway-request-id"]
    path, body = backend.requests[0]
    assert path == "/v1/chat/completions" and body["model"] == "fake"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


async def test_a_stream(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:
        stream = await client.responses.create(model="default", input="Hello!", stream=True)
        events = [event async for event in stream]
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == ANSWER == events[-1].response.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.usage.output_tokens == 100


async def test_the_client_s_own_stream_helper(serve: Serve, backend: FakeBackend) -> None:
    async with (
        client_of(await serve(backend)) as client,
        client.responses.stream(model="default", input="Hello!") as stream,
    ):
        async for event in stream:
            if event.type == "response.output_text.delta":
                assert ANSWER.startswith(event.snapshot)
        assert (await stream.get_final_response()).output_text == ANSWER


@pytest.mark.parametrize("stream", [False, True])
async def test_function_calls(serve: Serve, backend: FakeBackend, stream: bool) -> None:
    backend.message = CALL
    asked: Any = {"model": "default", "tools": [WEATHER]}
    items: list[Any] = [{"role": "user", "content": "How is the weather in Rome?"}]
    async with client_of(await serve(backend)) as client:
        if stream:
            async with client.responses.stream(input=items, **asked) as events:
                response = await events.get_final_response()
        else:
            response = await client.responses.create(input=items, **asked)
        (call,) = response.output
        assert call.type == "function_call" and call.name == "weather"
        assert json.loads(call.arguments) == {"city": "Rome"}
        backend.message = None
        items += response.output
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "Sunny"})
        response = await client.responses.create(input=items, **asked)
    assert response.output_text == ANSWER
    _, assistant, tool = backend.requests[1][1]["messages"]
    assert assistant["tool_calls"][0]["id"] == tool["tool_call_id"] == "call_1"
    assert tool["content"] == "Sunny"


class Event(BaseModel):
    name: str
    day: int


@pytest.mark.parametrize("stream", [False, True])
async def test_structured_output(serve: Serve, backend: FakeBackend, stream: bool) -> None:
    backend.message = {"content": '{"name": "fair", "day": 3}'}
    async with client_of(await serve(backend)) as client:
        if stream:
            async with client.responses.stream(
                model="default", input="When?", text_format=Event
            ) as events:
                parsed = (await events.get_final_response()).output_parsed
        else:
            response = await client.responses.parse(
                model="default", input="When?", text_format=Event
            )
            parsed = response.output_parsed
    assert parsed == Event(name="fair", day=3)
    form = backend.requests[0][1]["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["strict"] is True
    assert set(form["json_schema"]["schema"]["properties"]) == {"name", "day"}


@pytest.mark.parametrize("stream", [False, True])
async def test_it_can_be_continued_exactly_like_any_chat(serve: Serve, stream: bool) -> None:
    engine = ExactEngine()
    async with client_of(await serve(engine)) as client:
        engine.allow()
        asked: Any = {"model": "counter", "input": "x", "max_output_tokens": 3}
        if stream:
            async with client.responses.stream(**asked) as events:
                async for event in events:
                    last = event
            assert last.type == "response.incomplete"
            response = last.response
        else:
            response = await client.responses.create(**asked)
    assert response.output_text == "0 1 2 "
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.headway["preemptible"]
    assert response.usage.total_tokens == 8


# ---- what is kept ---------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on(
    serve: Serve, backend: FakeBackend, store: ResponseStore, stream: bool
) -> None:
    async with client_of(await serve(backend, responses=store)) as client:
        asked: Any = {"model": "default", "instructions": "Be brief."}
        if stream:
            events = await client.responses.create(input="One?", stream=True, **asked)
            first = [event async for event in events][-1].response
        else:
            first = await client.responses.create(input="One?", **asked)
        second = await client.responses.create(
            model="default", input="Two?", previous_response_id=first.id
        )
        await client.responses.create(
            model="default",
            input=[{"role": "user", "content": [{"type": "input_text", "text": "Three?"}]}],
            previous_response_id=second.id,
        )
        assert second.previous_response_id == first.id
    assert backend.requests[-1][1]["messages"] == [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "Three?"},
    ]


async def test_kept_responses_are_read_listed_and_deleted(
    serve: Serve, backend: FakeBackend, store: ResponseStore
) -> None:
    async with client_of(await serve(backend, responses=store)) as client:
        made = await client.responses.create(
            model="default",
            input=[{"role": "user", "content": str(number)} for number in range(5)],
        )
        found = await client.responses.retrieve(made.id)
        assert found.to_dict() == made.to_dict()
        listed = [item async for item in client.responses.input_items.list(made.id, limit=2)]
        assert [item.content[0].text for item in listed] == ["4", "3", "2", "1", "0"]
        page = await client.responses.input_items.list(made.id, order="asc", limit=2)
        assert [item.content[0].text for item in page.data] == ["0", "1"] and page.has_more
        await client.responses.delete(made.id)
        for again in (client.responses.retrieve, client.responses.delete):
            with pytest.raises(openai.NotFoundError) as raised:
                await again(made.id)
            assert raised.value.code == "response_not_found"
        with pytest.raises(openai.NotFoundError) as raised:
            await client.responses.create(model="default", input="x", previous_response_id=made.id)
        assert raised.value.code == "previous_response_not_found"


async def test_store_false_keeps_nothing(
    serve: Serve, backend: FakeBackend, store: ResponseStore
) -> None:
    async with client_of(await serve(backend, responses=store)) as client:
        made = await client.responses.create(model="default", input="x", store=False)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)


async def test_another_tenant_s_responses_do_not_exist(
    serve: Serve, backend: FakeBackend, store: ResponseStore
) -> None:
    keys = (
        ApiKey("one", hash_key("k1"), tenant="acme"),
        ApiKey("two", hash_key("k2"), tenant="acme"),
        ApiKey("three", hash_key("k3")),
    )
    gateway = await serve(backend, responses=store, keys=keys)
    async with (
        client_of(gateway, api_key="k1") as one,
        client_of(gateway, api_key="k2") as two,
        client_of(gateway, api_key="k3") as three,
    ):
        made = await one.responses.create(model="default", input="secret")
        assert (await two.responses.retrieve(made.id)).id == made.id
        for call in (
            three.responses.retrieve(made.id),
            three.responses.input_items.list(made.id),
            three.responses.delete(made.id),
            three.responses.create(model="default", input="x", previous_response_id=made.id),
        ):
            with pytest.raises(openai.NotFoundError):
                await call
        assert (await one.responses.retrieve(made.id)).id == made.id


async def test_without_a_store_nothing_can_be_gone_on_from(
    serve: Serve, backend: FakeBackend
) -> None:
    async with client_of(await serve(backend)) as client:
        made = await client.responses.create(model="default", input="x", store=True)
        assert made.store is False
        with pytest.raises(openai.BadRequestError, match="whole conversation"):
            await client.responses.create(model="default", input="x", previous_response_id=made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)


# ---- counting, errors -----------------------------------------------------------------------


async def test_prompts_are_counted(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(ExactEngine())) as client:
        counted = await client.responses.input_tokens.count(model="counter", input="Hello!")
        assert counted.input_tokens == 5 and counted.headway == {"estimated": False}
    async with client_of(await serve(backend)) as client:
        counted = await client.responses.input_tokens.count(model="fake", input="Hello!" * 100)
        assert 100 < counted.input_tokens < 300 and counted.headway == {"estimated": True}


async def test_errors_are_the_client_s_own_kinds(serve: Serve, backend: FakeBackend) -> None:
    async with client_of(await serve(backend)) as client:
        with pytest.raises(openai.NotFoundError) as raised:
            await client.responses.create(model="nope", input="x")
        assert raised.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError, match="not supported yet") as raised:
            await client.responses.create(model="fake", input="x", background=True)
        assert raised.value.param == "background"
        with pytest.raises(openai.BadRequestError, match="web_search"):
            await client.responses.create(model="fake", input="x", tools=[{"type": "web_search"}])
        backend.faults.append((400, {"error": {"message": "no such tool", "type": "x"}}))
        with pytest.raises(openai.BadRequestError, match="no such tool"):
            await client.responses.create(model="fake", input="x")
        backend.faults.append((200, {"choices": [3]}))
        with pytest.raises(openai.InternalServerError) as raised:
            await client.responses.create(model="fake", input="x")
        assert raised.value.code == "bad_backend_answer"


async def test_a_stream_that_breaks_says_so(
    serve: Serve, backend: FakeBackend, store: ResponseStore
) -> None:
    backend.break_after = 5
    async with client_of(await serve(backend, responses=store)) as client:
        stream = await client.responses.create(model="fake", input="x", stream=True)
        events = [event async for event in stream]
        assert [event.type for event in events[-2:]] == ["error", "response.failed"]
        failed = events[-1].response
        assert failed.status == "failed" and "broke off" in failed.error.message
        assert (await client.responses.retrieve(failed.id)).status == "failed"


async def test_a_stream_whose_events_are_none_ends_with_an_error(
    serve: Serve, backend: FakeBackend
) -> None:
    backend.message = {"content": 3}
    gateway = await serve(backend)
    async with client_of(gateway) as client:
        stream = await client.responses.create(model="fake", input="x", stream=True)
        events = [event async for event in stream]
    assert events[-1].type == "response.failed"
    await until(lambda: not gateway.dispatcher.works and backend.running == 0)


async def test_a_client_that_leaves_frees_its_slot(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, slots=1)
    backend.open.clear()
    async with client_of(gateway, timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.responses.create(model="fake", input="x")
    await until(lambda: not gateway.dispatcher.works and backend.running == 0)


async def test_bad_bodies_are_named(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    url = (await serve(backend)).address + "/v1/responses"
    for body, code in ((b"{", "invalid_json"), (b"{}", "invalid_value"), (b"[]", "invalid_value")):
        async with http.post(url, data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == code
