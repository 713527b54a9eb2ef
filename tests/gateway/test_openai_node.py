"""OpenAI's client for Node works unchanged.

Needs `node` and `npm`; the client is fetched once, into Headway's cache.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.conftest import Serve, catalog_of, until
from tests.gateway.fake_backend import WORDS, FakeBackend

from headway.cache import cache_folder
from headway.gateway.server import Gateway
from headway.models.source import source_of

CLIENT = "openai@6.49.0"
SCRIPT = Path(__file__).with_name("openai_client.mjs")
ANSWER = "".join(WORDS)


@pytest.fixture(scope="session")
def node_client() -> Path:
    """The folder that has the client."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    folder = cache_folder() / "node" / CLIENT
    if not (folder / "node_modules" / "openai").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), CLIENT]
        done = subprocess.run(install, capture_output=True, text=True, timeout=100)
        if done.returncode:
            pytest.skip(f"npm cannot fetch {CLIENT}: {done.stderr.strip()[:200]}")
    return folder


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend, tiny: Path) -> Gateway:
    return await serve(backend, slots=1, catalog=catalog_of(text=source_of(str(tiny / "text"))))


async def run(gateway: Gateway, node_client: Path, scenario: str) -> Any:
    """What the scenario of that name in the script prints."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(SCRIPT),
        gateway.address,
        scenario,
        env={**os.environ, "NODE_CLIENT": str(node_client)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    return json.loads(out)


async def test_chat(gateway: Gateway, node_client: Path) -> None:
    told = await run(gateway, node_client, "chat")
    assert told["content"] == ANSWER and told["backend"] == "b0"
    assert told["usage"]["completion_tokens"] == 100
    assert told["usage"]["headway"]["output_tokens"] == 100


async def test_streaming(gateway: Gateway, node_client: Path) -> None:
    told = await run(gateway, node_client, "stream")
    assert (told["content"], told["finish"]) == (ANSWER, "stop")
    assert told["usage"]["headway"]["output_tokens"] == 100


async def test_the_stream_helper(gateway: Gateway, node_client: Path) -> None:
    assert await run(gateway, node_client, "helper") == {"content": ANSWER, "deltas": 100}


async def test_completions(gateway: Gateway, node_client: Path) -> None:
    assert await run(gateway, node_client, "completion") == {"content": ANSWER}


async def test_models(gateway: Gateway, node_client: Path) -> None:
    told = await run(gateway, node_client, "models")
    assert told == {"names": ["default", "fake", "text"], "one": "fake"}


async def test_embeddings_as_base64_and_as_numbers(gateway: Gateway, node_client: Path) -> None:
    told = await run(gateway, node_client, "embeddings")
    assert len(told["given"]) == 2 and len(told["given"][0]) == 4
    for given, asked in zip(told["given"], told["asked"], strict=True):
        assert given == pytest.approx(asked, abs=1e-6)


async def test_errors_are_the_client_s_own_kinds(gateway: Gateway, node_client: Path) -> None:
    told = await run(gateway, node_client, "errors")
    for asked in ("model", "stream"):
        error = told[asked]
        assert (error["raised"], error["code"]) == ("NotFoundError", "model_not_found")
        assert "fake" in error["message"]
    assert (told["field"]["raised"], told["field"]["param"]) == ("BadRequestError", "max_tokens")
    assert (told["path"]["raised"], told["path"]["code"]) == ("NotFoundError", "not_found")


async def test_a_stream_that_breaks_raises(
    gateway: Gateway, backend: FakeBackend, node_client: Path
) -> None:
    backend.break_after = 10
    told = await run(gateway, node_client, "broken")
    assert told["raised"] == "APIError" and told["code"] == "backend_lost"
    assert told["content"] == "".join(WORDS[:10])


async def test_an_abort_frees_the_slot(
    gateway: Gateway, backend: FakeBackend, node_client: Path
) -> None:
    backend.event_pause_s = 0.05
    assert await run(gateway, node_client, "abort") == {"chunks": 3}
    await until(lambda: not gateway.dispatcher.works and backend.running == 0)
    assert backend.aborted == 1


async def test_so_does_a_timeout(gateway: Gateway, backend: FakeBackend, node_client: Path) -> None:
    backend.open.clear()
    told = await run(gateway, node_client, "timeout")
    assert told["raised"] == "APIConnectionTimeoutError"
    await until(lambda: not gateway.dispatcher.works and backend.running == 0)
