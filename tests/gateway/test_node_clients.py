"""OpenAI's and Anthropic's Node clients, by the examples of their READMEs."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import WORDS, FakeBackend

NODE = Path(__file__).parent / "node"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").exists(),
    reason="needs Node's clients: npm install --prefix tests/gateway/node",
)


async def test_every_example(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend)
    node = await asyncio.create_subprocess_exec(
        "node", NODE / "examples.js", gateway.address, "fake", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await node.communicate()
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) > 10 and node.returncode == 0
    assert [one for one in found if "error" in one] == []
    assert {one["text"] for one in found} == {"", "".join(WORDS)}
