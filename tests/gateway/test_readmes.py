"""Every example of the official clients' READMEs that a text model can answer."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, DefaultHttpx2Client, OpenAI
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import WORDS, FakeBackend

from headway.gateway.server import Gateway

MODEL = "gpt-5.5"
ANSWER = "".join(WORDS)
PIRATE: Any = [
    {"role": "developer", "content": "Talk like a pirate."},
    {"role": "user", "content": "How do I check if a Python object is an instance of a class?"},
]
TEST: Any = [{"role": "user", "content": "Say this is a test"}]

NOT_FOR_US = {
    "openai: Workload Identity Authentication": "keys come from an identity provider elsewhere",
    "openai: Realtime API": "speech over WebSockets",
    "openai: File uploads": "files are not kept",
    "openai: Webhook Verification": "OpenAI calls the client; nothing is asked for",
    "openai: Microsoft Azure OpenAI": "another layout of paths",
    "openai: Amazon Bedrock": "requests signed for AWS",
}


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend) -> Gateway:
    backend.model = MODEL
    return await serve(backend)


def blocking(gateway: Gateway, **options: Any) -> OpenAI:
    return OpenAI(api_key="none", base_url=gateway.address + "/v1", **options)


def awaiting(gateway: Gateway, **options: Any) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="none", base_url=gateway.address + "/v1", **options)


@pytest.mark.parametrize("section", NOT_FOR_US)
def test_sections_that_ask_for_something_else(section: str) -> None:
    pytest.skip(NOT_FOR_US[section])


# ---- openai: Usage --------------------------------------------------------------------------


async def test_usage_of_responses(gateway: Gateway, backend: FakeBackend) -> None:
    def ask() -> str:
        with blocking(gateway) as client:
            return client.responses.create(
                model=MODEL,
                instructions="You are a coding assistant that talks like a pirate.",
                input="How do I check if a Python object is an instance of a class?",
            ).output_text

    assert await asyncio.to_thread(ask) == ANSWER
    assert [m["role"] for m in backend.requests[0][1]["messages"]] == ["system", "user"]


async def test_usage_of_chat_completions(gateway: Gateway, backend: FakeBackend) -> None:
    async with awaiting(gateway) as client:
        completion = await client.chat.completions.create(model=MODEL, messages=PIRATE)
    assert completion.choices[0].message.content == ANSWER
    assert backend.requests[0][1]["messages"] == PIRATE


@pytest.mark.parametrize(
    "image",
    ["https://example.com/a.jpg", f"data:image/png;base64,{base64.b64encode(b'x').decode()}"],
    ids=["by URL", "in base64"],
)
async def test_vision(gateway: Gateway, backend: FakeBackend, image: str) -> None:
    content: Any = [
        {"type": "input_text", "text": "What is in this image?"},
        {"type": "input_image", "image_url": image},
    ]
    async with awaiting(gateway) as client:
        response = await client.responses.create(
            model=MODEL, input=[{"role": "user", "content": content}]
        )
    assert response.output_text == ANSWER
    (message,) = backend.requests[0][1]["messages"]
    assert message["content"][1] == {"type": "image_url", "image_url": {"url": image}}


async def test_with_aiohttp(gateway: Gateway) -> None:
    async with awaiting(gateway, http_client=openai.DefaultAioHttpClient()) as client:
        completion = await client.chat.completions.create(model=MODEL, messages=TEST)
    assert completion.choices[0].message.content == ANSWER


# ---- openai: Streaming responses ------------------------------------------------------------


async def test_streaming(gateway: Gateway) -> None:
    asked: Any = {"model": MODEL, "input": "Write a bedtime story.", "stream": True}

    def ask() -> list[str]:
        with blocking(gateway) as client:
            return [event.type for event in client.responses.create(**asked)]

    async with awaiting(gateway) as client:
        types = [event.type async for event in await client.responses.create(**asked)]
    assert types == await asyncio.to_thread(ask)
    assert types[0] == "response.created" and types[-1] == "response.completed"


# ---- openai: types, pagination, nested params -----------------------------------------------


async def test_types_pagination_and_nested_params(gateway: Gateway, backend: FakeBackend) -> None:
    async with awaiting(gateway) as client:
        page = await client.models.list()
        assert not page.has_next_page()
        assert [model.id async for model in page] == ["default", MODEL]
        response = await client.responses.create(
            input=[{"role": "user", "content": "How much ?"}],
            model=MODEL,
            text={"format": {"type": "json_object"}},
        )
        assert json.loads(response.to_json())["id"] == response.to_dict()["id"] == response.id
    assert backend.requests[0][1]["response_format"] == {"type": "json_object"}


# ---- openai: errors, request IDs, retries, timeouts -----------------------------------------


async def test_handling_errors(serve: Serve, backend: FakeBackend) -> None:
    backend.model = MODEL
    gateway = await serve(backend, attempts=1)  # Headway itself tries again, too
    async with awaiting(gateway, max_retries=0) as client:
        for status, kind in (
            (400, openai.BadRequestError),
            (422, openai.UnprocessableEntityError),
            (500, openai.InternalServerError),
        ):
            backend.faults.append((status, {"error": {"message": "no", "type": "x"}}))
            with pytest.raises(kind) as raised:
                await client.responses.create(model=MODEL, input="x")
            assert raised.value.status_code == status and raised.value.response is not None
    async with AsyncOpenAI(
        api_key="none", base_url="http://127.0.0.1:9/v1", max_retries=0
    ) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.responses.create(model=MODEL, input="x")


async def test_request_ids(gateway: Gateway) -> None:
    async with awaiting(gateway) as client:
        response = await client.responses.create(model=MODEL, input="Say 'this is a test'.")
    assert response._request_id.startswith("req-")


async def test_retries(gateway: Gateway, backend: FakeBackend) -> None:
    failing = (500, {"error": {"message": "no", "type": "x"}})
    async with awaiting(gateway, max_retries=0) as client:
        backend.faults.extend([failing] * 2)
        again = client.with_options(max_retries=5)
        completion = await again.chat.completions.create(model=MODEL, messages=TEST)
        assert completion.choices[0].message.content == ANSWER
    assert not backend.faults


async def test_timeouts(gateway: Gateway, backend: FakeBackend) -> None:
    backend.open.clear()
    patience = httpx2.Timeout(60.0, read=0.2, write=10.0, connect=2.0)
    async with awaiting(gateway, timeout=patience, max_retries=0) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.responses.create(model=MODEL, input="x")
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=0.1).chat.completions.create(
                model=MODEL, messages=TEST
            )


# ---- openai: Advanced -----------------------------------------------------------------------


async def test_null_and_missing_and_undocumented_properties(gateway: Gateway) -> None:
    async with awaiting(gateway) as client:
        response = await client.responses.create(model=MODEL, input="x")
    assert response.error is None and "error" in response.model_fields_set
    assert response.usage.model_extra["headway"]["backend"] == "b0"


async def test_raw_and_streaming_responses(gateway: Gateway) -> None:
    async with awaiting(gateway) as client:
        raw = await client.chat.completions.with_raw_response.create(messages=TEST, model=MODEL)
        assert raw.headers["X-Headway-Backend"] == "b0"
        assert raw.parse().choices[0].message.content == ANSWER
        async with client.chat.completions.with_streaming_response.create(
            messages=TEST, model=MODEL
        ) as response:
            lines = [line async for line in response.iter_lines()]
    assert json.loads("".join(lines))["choices"]


async def test_custom_requests(gateway: Gateway, backend: FakeBackend) -> None:
    async with awaiting(gateway) as client:
        with pytest.raises(openai.NotFoundError):
            await client.post("/foo", cast_to=httpx2.Response, body={"my_param": True})
        queue = await client.get("/headway/queue", cast_to=httpx2.Response)
        assert queue.json()["waiting"] == 0
        await client.responses.create(
            model=MODEL,
            input="x",
            extra_body={"min_p": 0.1},
            extra_query={"my": "query"},
            extra_headers={"x-headway-tier": "batch"},
        )
    assert backend.requests[0][1]["min_p"] == 0.1


async def test_configuring_the_http_client(gateway: Gateway) -> None:
    def ask() -> str:
        transport = httpx2.HTTPTransport(local_address="127.0.0.1")
        with blocking(gateway, http_client=DefaultHttpx2Client(transport=transport)) as client:
            return client.responses.create(model=MODEL, input="x").output_text

    assert await asyncio.to_thread(ask) == ANSWER
    async with (
        DefaultAsyncHttpx2Client() as http,
        awaiting(gateway, http_client=http) as client,
    ):
        assert (await client.responses.create(model=MODEL, input="x")).output_text == ANSWER


# ---- anthropic ------------------------------------------------------------------------------


async def test_anthropic_getting_started(gateway: Gateway) -> None:
    def ask() -> anthropic.types.Message:
        with anthropic.Anthropic(api_key="none", base_url=gateway.address) as client:
            return client.messages.create(
                max_tokens=1024,
                messages=[{"role": "user", "content": "Hello, Claude"}],
                model=MODEL,
            )

    message = await asyncio.to_thread(ask)
    assert [block.text for block in message.content if block.type == "text"] == [ANSWER]
