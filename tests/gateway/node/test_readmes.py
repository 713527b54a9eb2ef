"""OpenAI's and Anthropic's Node clients, by the examples of their READMEs."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import WORDS, FakeBackend
from tests.gateway.node.conftest import RunNode


async def test_every_example(
    serve: Serve, stack: AsyncExitStack, backend: FakeBackend, run_node: RunNode
) -> None:
    silent = FakeBackend()
    silent.open.clear()
    await silent.start()
    stack.push_async_callback(silent.stop)
    gateway, unanswered = await serve(backend), await serve(silent)
    out = await run_node("examples.js", gateway.address, "fake", unanswered.address)
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) > 10
    assert [one for one in found if "error" in one] == []
    assert {one["text"] for one in found} == {"", "".join(WORDS)}
