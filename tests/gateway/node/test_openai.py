"""OpenAI's client for Node works unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.conftest import Serve, catalog_of, until
from tests.gateway.fake_backend import WORDS, FakeBackend
from tests.gateway.node.conftest import RunNode

from headway.gateway.server import Gateway
from headway.models.source import source_of

ANSWER = "".join(WORDS)


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend, tiny: Path) -> Gateway:
    return await serve(backend, slots=1, catalog=catalog_of(text=source_of(str(tiny / "text"))))


async def run(gateway: Gateway, run_node: RunNode, scenario: str) -> Any:
    """What the scenario of that name in the script prints."""
    return json.loads(await run_node("openai_client.js", gateway.address, scenario))


async def test_chat(gateway: Gateway, run_node: RunNode) -> None:
    told = await run(gateway, run_node, "chat")
    assert told["content"] == ANSWER and told["backend"] == "b0"
    assert told["usage"]["completion_tokens"] == 100
    assert told["usage"]["headway"]["output_tokens"] == 100


async def test_streaming(gateway: Gateway, run_node: RunNode) -> None:
    told = await run(gateway, run_node, "stream")
    assert (told["content"], told["finish"]) == (ANSWER, "stop")
    assert told["usage"]["headway"]["output_tokens"] == 100


async def test_the_stream_helper(gateway: Gateway, run_node: RunNode) -> None:
    assert await run(gateway, run_node, "helper") == {"content": ANSWER, "deltas": 100}


async def test_completions(gateway: Gateway, run_node: RunNode) -> None:
    assert await run(gateway, run_node, "completion") == {"content": ANSWER}


async def test_models(gateway: Gateway, run_node: RunNode) -> None:
    told = await run(gateway, run_node, "models")
    assert told == {"names": ["default", "fake", "text"], "one": "fake"}


async def test_embeddings_as_base64_and_as_numbers(gateway: Gateway, run_node: RunNode) -> None:
    told = await run(gateway, run_node, "embeddings")
    assert len(told["given"]) == 2 and len(told["given"][0]) == 4
    for given, asked in zip(told["given"], told["asked"], strict=True):
        assert given == pytest.approx(asked, abs=1e-6)


async def test_errors_are_the_client_s_own_kinds(gateway: Gateway, run_node: RunNode) -> None:
    told = await run(gateway, run_node, "errors")
    for asked in ("model", "stream"):
        error = told[asked]
        assert (error["raised"], error["code"]) == ("NotFoundError", "model_not_found")
        assert "fake" in error["message"]
    assert (told["field"]["raised"], told["field"]["param"]) == ("BadRequestError", "max_tokens")
    assert (told["path"]["raised"], told["path"]["code"]) == ("NotFoundError", "not_found")


async def test_a_stream_that_breaks_raises(
    gateway: Gateway, backend: FakeBackend, run_node: RunNode
) -> None:
    backend.break_after = 10
    told = await run(gateway, run_node, "broken")
    assert told["raised"] == "APIError" and told["code"] == "backend_lost"
    assert told["content"] == "".join(WORDS[:10])


async def test_an_abort_frees_the_slot(
    gateway: Gateway, backend: FakeBackend, run_node: RunNode
) -> None:
    backend.event_pause_s = 0.05
    assert await run(gateway, run_node, "abort") == {"chunks": 3}
    await until(lambda: not gateway.dispatcher.works and backend.running == 0)
    assert backend.aborted == 1


async def test_so_does_a_timeout(gateway: Gateway, backend: FakeBackend, run_node: RunNode) -> None:
    backend.open.clear()
    told = await run(gateway, run_node, "timeout")
    assert told["raised"] == "APIConnectionTimeoutError"
    await until(lambda: not gateway.dispatcher.works and backend.running == 0)
