"""Cases are run against a server; whatever goes wrong there fails the case, with why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.gateway.fake_backend import FakeBackend

from headway.prompts.cases import Case
from headway.prompts.expectations import Expectations
from headway.prompts.prompt import PromptId, read_prompt
from headway.prompts.trial import Result, Trial, run

PROMPT = read_prompt(
    PromptId("greet", 1),
    "---\nvariables: {name: {}}\nmodel: smol\ntemperature: 0\n---\nHi {{ name }}",
    "greet/1.md",
)
GREETED = Expectations(contains="word1 ")


@pytest.fixture
async def backend() -> AsyncIterator[FakeBackend]:
    backend = FakeBackend()
    await backend.start()
    yield backend
    await backend.stop()


async def tried(
    backend: FakeBackend, expect: Expectations = GREETED, name: str = "Ada", **options: Any
) -> Result:
    case = Case(name="one", variables={"name": name}, expect=expect)
    (result,) = await run([Trial(PROMPT, case, {})], backend.url, **options)
    return result


async def test_a_case_asks_with_the_prompt_s_own_settings(backend: FakeBackend) -> None:
    result = await tried(backend, Expectations(contains="word99", max_tokens=100))
    assert (
        not result.failures and result.answered.output_tokens == 100 and result.answered.took_s > 0
    )
    ((path, body),) = backend.requests
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "smol",
        "temperature": 0,
        "messages": [{"role": "user", "content": "Hi Ada"}],
    }


async def test_another_model_may_be_asked(backend: FakeBackend) -> None:
    await tried(backend, model="other", api_key="secret")
    assert backend.requests[0][1]["model"] == "other"
    assert backend.heads[0]["authorization"] == "Bearer secret"


async def test_a_call_of_a_tool_is_an_answer_in_json(backend: FakeBackend) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"n": 2}'}}
    backend.message = {"content": None, "tool_calls": [call]}
    schema = {"properties": {"name": {"const": "find"}, "arguments": {"const": {"n": 2}}}}
    assert not (await tried(backend, Expectations(json_schema=schema))).failures


async def test_what_the_server_refuses_fails_the_case(backend: FakeBackend) -> None:
    backend.faults.append((400, {"error": {"message": "No such model."}}))
    assert (await tried(backend)).failures == ("the server answered 400: No such model.",)


async def test_a_server_that_is_gone_fails_the_case(backend: FakeBackend) -> None:
    await backend.stop()
    (why,) = (await tried(backend)).failures
    assert why.startswith(f"no answer from {backend.url}") and "connect" in why


async def test_wrong_variables_fail_the_case_and_ask_nothing(backend: FakeBackend) -> None:
    case = Case(name="one", variables={}, expect=GREETED)
    (result,) = await run([Trial(PROMPT, case, {})], backend.url)
    assert result.failures == ("the prompt greet@1 needs a value for the variable 'name'",)
    assert not backend.requests
