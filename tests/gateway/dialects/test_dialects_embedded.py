"""Both dialects on the real embedded engine: the same answer as the chat that they stand for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from headway.engines.embedded import EmbeddedServer
from headway.engines.model_file import default_model
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings

PROMPT = "Name three colours."
SYSTEM = "You are a helpful assistant."
LIMIT = 24

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    embedded = EmbeddedServer(default_model(), slots=1, context_tokens=512)
    gateway = Gateway(GatewaySettings(port=0), embedded=[embedded])
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def openai_client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=gateway.address + "/v1", api_key="none") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def claude(gateway: Gateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=gateway.address, api_key="none") as client:
        yield client


async def chat(client: openai.AsyncOpenAI, **options: Any) -> Any:
    return await client.chat.completions.create(
        model="default",
        messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}],
        max_tokens=LIMIT,
        temperature=0,
        **options,
    )


async def test_responses(openai_client: openai.AsyncOpenAI) -> None:
    expected = await chat(openai_client)
    asked: Any = {
        "model": "default",
        "instructions": SYSTEM,
        "input": PROMPT,
        "max_output_tokens": LIMIT,
        "temperature": 0,
    }
    whole = await openai_client.responses.create(**asked)
    events = [event async for event in await openai_client.responses.create(**asked, stream=True)]
    for response in (whole, events[-1].response):
        assert response.output_text == expected.choices[0].message.content
        assert response.usage.input_tokens == expected.usage.prompt_tokens
        assert response.usage.headway["preemptible"]
    counted = await openai_client.responses.input_tokens.count(
        model="default", instructions=SYSTEM, input=PROMPT
    )
    assert counted.input_tokens == expected.usage.prompt_tokens


async def test_messages(
    openai_client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    expected = await chat(openai_client)
    prompt: Any = {
        "model": "default",
        "system": SYSTEM,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    asked: Any = {**prompt, "max_tokens": LIMIT, "extra_body": {"temperature": 0}}
    whole = await claude.messages.create(**asked)
    async with claude.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    for message in (whole, streamed):
        assert message.content[0].text == expected.choices[0].message.content
        read = message.usage.input_tokens + message.usage.cache_read_input_tokens
        assert read == expected.usage.prompt_tokens
    assert whole.usage.headway["preemptible"]
    counted = await claude.messages.count_tokens(**prompt)
    assert counted.input_tokens == expected.usage.prompt_tokens
    assert counted.headway == {"estimated": False}


async def test_a_stop_sequence_is_named(claude: anthropic.AsyncAnthropic) -> None:
    asked: Any = {
        "model": "default",
        "max_tokens": LIMIT,
        "messages": [{"role": "user", "content": "Count: 1, 2, 3, 4, 5, 6"}],
        "stop_sequences": [" ", "\n"],
        "extra_body": {"temperature": 0},
    }
    whole = await claude.messages.create(**asked)
    async with claude.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    for message in (whole, streamed):
        assert message.stop_reason == "stop_sequence"
        assert message.stop_sequence in asked["stop_sequences"]


async def test_an_answer_that_the_client_began_goes_on(claude: anthropic.AsyncAnthropic) -> None:
    asked: Any = {"model": "default", "max_tokens": 8, "extra_body": {"temperature": 0}}
    question = {"role": "user", "content": "What is the capital of France? Answer in one line."}
    begun = {"role": "assistant", "content": "The capital of France is"}
    message = await claude.messages.create(**asked, messages=[question, begun])
    assert "Paris" in message.content[0].text
    assert not message.content[0].text.startswith("The capital")


async def test_a_prompt_that_is_too_long_is_said_so(claude: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        await claude.messages.create(
            model="default",
            max_tokens=8,
            messages=[{"role": "user", "content": "word " * 1000}],
        )
