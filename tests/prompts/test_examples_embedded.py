"""The examples on the real embedded engine: their cases pass, and OpenAI's client uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
import pytest_asyncio

from headway.engines.embedded import EmbeddedServer
from headway.engines.model_file import default_model
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.prompts.cases import read_cases
from headway.prompts.trial import Trial, run
from headway.prompts.watched import WatchedRegistry

EXAMPLES = Path(__file__).parents[2] / "examples/prompts"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def watched() -> WatchedRegistry:
    watched = WatchedRegistry(EXAMPLES)
    assert not watched.registry.problems
    return watched


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(watched: WatchedRegistry) -> AsyncIterator[Gateway]:
    embedded = EmbeddedServer(default_model(), slots=1, context_tokens=512)
    gateway = Gateway(GatewaySettings(port=0), embedded=[embedded], prompts=watched)
    await gateway.start()
    yield gateway
    await gateway.stop()


async def test_all_cases_of_the_examples_pass(gateway: Gateway, watched: WatchedRegistry) -> None:
    trials: list[Trial] = []
    for name in watched.registry.entries:
        cases = read_cases(EXAMPLES / name)
        assert cases is not None
        prompt = watched.registry.prompt(name, "production")
        trials += [Trial(prompt, case, cases.python) for case in cases.cases]
    results = await run(trials, gateway.address)
    assert len(results) >= 4
    assert {one.case: one.failures for one in results if one.failures} == {}


async def test_a_prompt_over_the_api_gives_the_same_answer_as_its_text(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=gateway.address + "/v1", api_key="none") as client:
        response = await client.responses.create(
            prompt={"id": "name-capital", "variables": {"country": "Spain"}}
        )
        same = await client.chat.completions.create(
            model="default",
            messages=[
                {"role": "system", "content": "You answer with one short sentence.\n"},
                {"role": "user", "content": "What is the capital of Spain?"},
            ],
            temperature=0,
            max_tokens=24,
        )
    assert response.output_text == same.choices[0].message.content
    assert "Madrid" in response.output_text
