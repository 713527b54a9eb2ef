"""A run's deadline is what its calls are scheduled by, and never why one of them fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.workflows.conftest import Bench

import headway

seen: list[dict[str, str]] = []


@pytest.fixture
async def strict(bench: Bench) -> AsyncIterator[Bench]:
    """A gateway that can meet no deadline."""
    seen.clear()

    async def chat(request: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        if "x-headway-deadline-ms" in request.headers:
            error = {"message": "The deadline cannot be met.", "code": "deadline_exceeded"}
            return web.json_response({"error": error}, status=429)
        message = {"role": "assistant", "content": "late, but here"}
        return web.json_response({"choices": [{"message": message}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bench.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield bench
    await runner.cleanup()


@headway.workflow(deadline_s=30)
async def hurried() -> str:
    return (await headway.llm("Quick!")).text


@headway.workflow(deadline_s=1e-6)
async def late() -> str:
    return (await headway.llm("Quick!")).text


async def test_a_call_whose_deadline_cannot_be_met_goes_on_without(strict: Bench) -> None:
    row = await strict.result(hurried)
    assert json.loads(row.output_json or "") == "late, but here"
    first, second = (one.get("x-headway-deadline-ms") for one in seen)
    assert first is not None and 0 < int(first) <= 30_000
    assert second is None


async def test_a_run_that_is_late_goes_on(strict: Bench) -> None:
    row = await strict.result(late)
    assert json.loads(row.output_json or "") == "late, but here"
    assert len(seen) == 1


async def test_calls_name_their_run_and_step(strict: Bench) -> None:
    row = await strict.result(late)
    [headers] = seen
    sent: dict[str, Any] = {"program": row.id, "step": "late/llm"}
    assert {name: headers[f"x-headway-{name}"] for name in sent} == sent
