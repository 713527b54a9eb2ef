"""/v1/messages by the official client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import anthropic
import pytest
from pydantic import BaseModel
from tests.gateway.conftest import Serve, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import WORDS, FakeBackend

from headway.core.settings import PreemptionSettings, SchedulerSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey

ANSWER = "".join(WORDS)
HELLO: Any = [{"role": "user", "content": "Hello, Claude"}]
ASKED: Any = {"model": "default", "max_tokens": 1024, "messages": HELLO}
WEATHER: Any = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {
    "content": "Let me see.",
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
        }
    ],
}


def claude(gateway: Gateway, **options: Any) -> anthropic.AsyncAnthropic:
    options = {"api_key": "none", "max_retries": 0, **options}
    return anthropic.AsyncAnthropic(base_url=gateway.address, **options)


async def test_a_message_and_its_headers(serve: Serve, backend: FakeBackend) -> None:
    async with claude(await serve(backend)) as client:
        raw = await client.messages.with_raw_response.create(
            **ASKED, system="Be brief.", metadata={"user_id": "u1"}, stop_sequences=["END"]
        )
    message = await raw.parse()
    assert message.content[0].text == ANSWER and message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 7 and message.usage.output_tokens == 100
    assert message.usage.headway["tenant"] == "u1"
    assert message._request_id == raw.headers["x-headway-request-id"]
    path, body = backend.requests[0]
    assert path == "/v1/chat/completions" and body["model"] == "fake"
    assert body["max_tokens"] == 1024 and body["stop"] == ["END"]
    assert [one["role"] for one in body["messages"]] == ["system", "user"]


async def test_it_can_be_followed(serve: Serve, backend: FakeBackend) -> None:
    followed = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x-request-id": "mine-1",
    }
    async with claude(await serve(backend)) as client:
        raw = await client.messages.with_raw_response.create(**ASKED, extra_headers=followed)
    assert raw.headers["traceparent"] == followed["traceparent"]
    assert raw.headers["request-id"] == (await raw.parse())._request_id == "mine-1"


def test_the_synchronous_client(address: str) -> None:
    with anthropic.Anthropic(base_url=address, api_key="x") as client:
        message = client.messages.create(**ASKED)
        assert message.content[0].text == ANSWER
        with client.messages.stream(**ASKED) as stream:
            assert "".join(stream.text_stream) == ANSWER


async def test_a_stream(serve: Serve, backend: FakeBackend) -> None:
    async with claude(await serve(backend)) as client:
        stream = await client.messages.create(**ASKED, stream=True)
        events = [event async for event in stream]
    assert events[0].type == "message_start" and events[-1].type == "message_stop"
    texts = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(texts) == ANSWER
    assert events[-2].usage.output_tokens == 100 and events[-2].usage.input_tokens == 7


@pytest.mark.parametrize("stream", [False, True])
async def test_tools(serve: Serve, backend: FakeBackend, stream: bool) -> None:
    backend.message = CALL
    async with claude(await serve(backend)) as client:
        if stream:
            async with client.messages.stream(**ASKED, tools=[WEATHER]) as events:
                message = await events.get_final_message()
        else:
            message = await client.messages.create(**ASKED, tools=[WEATHER])
        assert message.stop_reason == "tool_use"
        text, use = message.content
        assert text.text == "Let me see." and use.input == {"city": "Rome"}
        backend.message = None
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "Sunny"}
        conversation = [*HELLO, message.to_param(), {"role": "user", "content": [result]}]
        message = await client.messages.create(
            **{**ASKED, "messages": conversation}, tools=[WEATHER]
        )
    assert message.content[0].text == ANSWER
    _, assistant, tool = backend.requests[1][1]["messages"]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"city": "Rome"}
    assert tool == {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}


async def test_the_client_runs_tools_by_itself(serve: Serve, backend: FakeBackend) -> None:
    asked: list[str] = []

    @anthropic.beta_async_tool
    async def weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: its name.
        """
        asked.append(city)
        backend.message = None
        return "Sunny"

    backend.message = CALL
    async with claude(await serve(backend)) as client:
        runner = client.beta.messages.tool_runner(**ASKED, tools=[weather])
        message = await runner.until_done()
    assert asked == ["Rome"] and message.content[0].text == ANSWER
    assert backend.requests[1][1]["messages"][-1]["content"] == "Sunny"


async def test_a_backend_that_refuses_to_count_is_counted_for(
    serve: Serve, backend: FakeBackend
) -> None:
    def refuses(body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if "stream_options" not in body:
            return None
        return 400, {"error": {"message": "unknown field stream_options", "type": "x"}}

    backend.refuses = refuses
    async with claude(await serve(backend)) as client, client.messages.stream(**ASKED) as stream:
        message = await stream.get_final_message()
    assert message.content[0].text == ANSWER
    assert "stream_options" not in backend.requests[-1][1]
    assert message.usage.output_tokens == len(WORDS)


class Event(BaseModel):
    name: str
    day: int


async def test_structured_output(serve: Serve, backend: FakeBackend) -> None:
    backend.message = {"content": '{"name": "fair", "day": 3}'}
    async with claude(await serve(backend)) as client:
        message = await client.messages.parse(**ASKED, output_format=Event)
    assert message.parsed_output == Event(name="fair", day=3)
    assert backend.requests[0][1]["response_format"]["type"] == "json_schema"


async def test_thinking(serve: Serve, backend: FakeBackend) -> None:
    backend.message = {"content": "4", "reasoning_content": "2+2"}
    async with claude(await serve(backend)) as client:
        message = await client.messages.create(
            **ASKED, thinking={"type": "enabled", "budget_tokens": 1024}
        )
        assert [block.type for block in message.content] == ["thinking", "text"]
        await client.messages.create(**{**ASKED, "messages": [*HELLO, message.to_param(), *HELLO]})
    assert backend.requests[1][1]["messages"][1] == {"role": "assistant", "content": "4"}


@pytest.mark.parametrize("stream", [False, True])
async def test_it_can_be_continued_exactly_like_any_chat(serve: Serve, stream: bool) -> None:
    engine = ExactEngine()
    engine.allow()
    asked = {**ASKED, "model": "counter", "max_tokens": 3}
    async with claude(await serve(engine)) as client:
        if stream:
            async with client.messages.stream(**asked) as events:
                message = await events.get_final_message()
        else:
            message = await client.messages.create(**asked)
    assert message.content[0].text == "0 1 2 " and message.stop_reason == "max_tokens"
    assert message.usage.input_tokens == 5 and message.usage.output_tokens == 3
    if not stream:  # the client's helper takes over known fields of usage only
        assert message.usage.headway["preemptible"]


async def test_a_preempted_stream_goes_on_where_it_was(serve: Serve) -> None:
    engine = ExactEngine()
    eager = SchedulerSettings(preemption=PreemptionSettings(min_run_s=0.0))
    gateway = await serve(engine, scheduler=eager)
    engine.allow(5)
    asked = {**ASKED, "model": "counter"}
    async with claude(gateway) as client:
        batch = {"x-headway-tier": "batch"}
        long = await client.messages.create(
            **{**asked, "max_tokens": 200}, stream=True, extra_headers=batch
        )
        events = [await anext(aiter(long))]
        urgent = asyncio.ensure_future(
            client.messages.create(
                **{**asked, "max_tokens": 3}, extra_headers={"x-headway-tier": "interactive"}
            )
        )
        await until(lambda: len(engine.starts) == 2)
        engine.allow()
        assert (await urgent).content[0].text == "0 1 2 "
        events += [event async for event in long]
    texts = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(texts) == "".join(f"{number} " for number in range(200))
    assert events[-2].usage.headway["preemptions"] == 1
    assert engine.starts[2] >= 5


async def test_prompts_are_counted(serve: Serve, backend: FakeBackend) -> None:
    async with claude(await serve(ExactEngine())) as client:
        counted = await client.messages.count_tokens(model="counter", messages=HELLO)
        assert counted.input_tokens == 5 and counted.headway == {"estimated": False}
    async with claude(await serve(backend)) as client:
        text: Any = [{"role": "user", "content": "Hello!" * 100}]
        counted = await client.messages.count_tokens(
            model="fake", messages=text, system="Be brief.", tools=[WEATHER]
        )
        assert 100 < counted.input_tokens < 400 and counted.headway == {"estimated": True}


async def test_models(serve: Serve, backend: FakeBackend) -> None:
    async with claude(await serve(backend)) as client:
        models = [model async for model in client.models.list(limit=20)]
        assert [model.id for model in models] == ["default", "fake"]
        model = await client.models.retrieve("fake")
        assert model.type == "model" and model.created_at.year > 2000
        with pytest.raises(anthropic.NotFoundError):
            await client.models.retrieve("nope")


async def test_errors_are_the_client_s_own_kinds(serve: Serve, backend: FakeBackend) -> None:
    async with claude(await serve(backend, attempts=1)) as client:
        with pytest.raises(anthropic.NotFoundError) as raised:
            await client.messages.create(**{**ASKED, "model": "nope"})
        assert raised.value.type == "not_found_error"
        assert raised.value.error_code == "model_not_found"
        with pytest.raises(anthropic.BadRequestError, match="max_tokens") as wrong:
            await client.messages.create(**{**ASKED, "max_tokens": -1})
        assert wrong.value.type == "invalid_request_error"
        backend.faults.append((400, {"error": {"message": "no such tool", "type": "x"}}))
        with pytest.raises(anthropic.BadRequestError, match="no such tool"):
            await client.messages.create(**ASKED)
        backend.faults.append((500, {"error": {"message": "out of memory"}}))
        with pytest.raises(anthropic.InternalServerError) as broken:
            await client.messages.create(**ASKED)
        assert broken.value.type == "api_error"


async def test_keys(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, keys=(ApiKey("one", hash_key("k1")),))
    async with claude(gateway, api_key="wrong") as client:
        with pytest.raises(anthropic.AuthenticationError) as raised:
            await client.messages.create(**ASKED)
        assert raised.value.type == "authentication_error"
    for how in ({"api_key": "k1"}, {"api_key": None, "auth_token": "k1"}):
        async with claude(gateway, **how) as client:
            message = await client.messages.create(**ASKED)
            assert message.usage.headway["tenant"] == "one"


async def test_a_full_queue_is_an_overload(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, slots=1, scheduler=SchedulerSettings(max_queue=1))
    backend.open.clear()
    async with claude(gateway) as client:
        under_way = [asyncio.ensure_future(client.messages.create(**ASKED)) for _ in range(2)]
        await until(lambda: len(gateway.dispatcher.works) == 2)
        with pytest.raises(anthropic.InternalServerError) as raised:
            await client.messages.create(**ASKED)
        assert raised.value.status_code == 529 and raised.value.type == "overloaded_error"
        assert int(raised.value.response.headers["retry-after"]) >= 1
        backend.open.set()
        await asyncio.gather(*under_way)


async def test_a_stream_that_breaks_raises_in_the_client(
    serve: Serve, backend: FakeBackend
) -> None:
    backend.break_after = 5
    async with claude(await serve(backend)) as client:
        with pytest.raises(anthropic.APIStatusError, match="broke off"):
            async with client.messages.stream(**ASKED) as stream:
                await stream.get_final_message()


async def test_a_client_that_leaves_frees_its_slot(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, slots=1)
    backend.open.clear()
    async with claude(gateway, timeout=0.2) as client:
        with pytest.raises(anthropic.APITimeoutError):
            await client.messages.create(**ASKED)
    await until(lambda: not gateway.dispatcher.works and backend.running == 0)


async def test_errors_before_the_body_have_anthropic_s_shape_too(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend, max_body_bytes=1000)
    for path, method, data, status in (
        ("/v1/messages", "POST", b"x" * 2000, 413),
        ("/v1/messages", "POST", b"{", 400),
        ("/v1/messages", "GET", None, 405),
        ("/v1/messages/nope", "POST", b"{}", 404),
    ):
        async with http.request(method, gateway.address + path, data=data) as answer:
            assert answer.status == status
            body = await answer.json()
            assert body["type"] == "error" and body["error"]["message"]
