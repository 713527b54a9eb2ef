"""Requests with several answers on the real embedded engine: all of them count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from headway.engines.embedded import EmbeddedServer
from headway.engines.model_file import default_model
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings

LIMIT = 8
PROMPTS = ["One two three", "Red green blue yellow black white"]
OPTIONS: dict[str, Any] = {"model": "default", "max_tokens": LIMIT, "temperature": 0}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    embedded = EmbeddedServer(default_model(), slots=2, context_tokens=512)
    gateway = Gateway(GatewaySettings(port=0), embedded=[embedded])
    await gateway.start()
    async with openai.AsyncOpenAI(base_url=gateway.address + "/v1", api_key="none") as client:
        yield client
    await gateway.stop()


async def test_a_stream_s_usage_is_that_of_all_prompts_and_answers(
    client: openai.AsyncOpenAI,
) -> None:
    alone = [await client.completions.create(prompt=one, **OPTIONS) for one in PROMPTS]
    stream = await client.completions.create(
        prompt=PROMPTS, stream=True, stream_options={"include_usage": True}, **OPTIONS
    )
    *_, usage = [event.usage async for event in stream if event.usage is not None]
    assert usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone if one.usage)
    assert usage.completion_tokens == sum(one.usage.completion_tokens for one in alone if one.usage)


async def test_a_whole_answer_s_usage_is_about_that_of_all(client: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Count from one to twenty."}]
    one = await client.chat.completions.create(messages=messages, **OPTIONS)
    both = await client.chat.completions.create(messages=messages, n=2, **OPTIONS)
    assert one.usage is not None and both.usage is not None
    assert both.usage.prompt_tokens == one.usage.prompt_tokens
    assert both.usage.completion_tokens == pytest.approx(2 * LIMIT, abs=LIMIT / 2)
