"""What a backend would ignore is refused on arrival, before anything waits or runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of
from tests.gateway.fake_backend import FakeBackend

from headway.gateway.server import Gateway

WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {}}}
CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {}}}
MUST_ASK_THE_CLOCK: Any = {"type": "function", "function": {"name": "clock"}}


def says(gateway: Gateway, backend: str, **properties: Any) -> None:
    """From now on the gateway knows this of `backend`."""
    status = gateway.pool.statuses[backend]
    assert status.description is not None
    gateway.pool._changed(replace(status, description=replace(status.description, **properties)))


async def test_tools_that_no_template_shows_are_refused_by_every_api(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend)
    says(gateway, "b0", engine="llama.cpp", tools=False)
    function: Any = {"type": "function", "name": "weather", "parameters": {}, "strict": None}
    async with client_of(gateway) as client:
        for asked in (
            client.chat.completions.create(model="fake", messages=HELLO, tools=[WEATHER]),
            client.responses.create(model="fake", input="Hello!", tools=[function]),
        ):
            with pytest.raises(openai.BadRequestError) as raised:
                await asked
            assert raised.value.param == "tools"
            assert raised.value.code == "unsupported_parameter"
        await client.chat.completions.create(
            model="fake", messages=HELLO, tools=[WEATHER], tool_choice="none"
        )
    assert len(backend.requests) == 1


async def test_a_field_that_one_of_two_backends_would_ignore_is_refused(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, backend)
    says(gateway, "b1", engine="llama.cpp")
    async with client_of(gateway) as client:
        with pytest.raises(openai.BadRequestError) as raised:
            await client.completions.create(model="fake", prompt="Once", echo=True)
    assert raised.value.param == "echo" and backend.requests == []


@pytest.mark.parametrize(
    ("engine", "choice", "tools"),
    [
        ("llama.cpp", "required", [CLOCK]),
        ("vllm", MUST_ASK_THE_CLOCK, [WEATHER, CLOCK]),
    ],
)
async def test_a_forced_call_reaches_a_backend_in_words_that_it_knows(
    serve: Serve, backend: FakeBackend, engine: str, choice: Any, tools: list[Any]
) -> None:
    gateway = await serve(backend)
    says(gateway, "b0", engine=engine)
    async with client_of(gateway) as client:
        await client.chat.completions.create(
            model="fake", messages=HELLO, tools=[WEATHER, CLOCK], tool_choice=MUST_ASK_THE_CLOCK
        )
    sent = backend.requests[0][1]
    assert sent["tool_choice"] == choice and sent["tools"] == tools
