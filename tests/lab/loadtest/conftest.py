"""A small OpenAI server that answers as its prompts ask, in place of a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class FakeServer:
    """Answers `max_tokens` times the word "word", one chunk each; a user turn can ask for trouble.

    The last word of a request's prompt decides: `refuse` (500), `cut` (the connection ends after
    two tokens), `complain` (an error event after two tokens), `hang` (no byte ever), `mumble` (not
    JSON); anything else is answered.
    """

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    token_s: float = 0.0
    scheduling: dict[str, Any] | None = None
    text: str = "content"
    """Name of the field that has the text."""
    usage: dict[str, Any] = field(default_factory=dict)
    """What else is in its usage."""

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "fake", "object": "model"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        prompt = body["messages"][-1]["content"]
        trouble = prompt.split()[-1]
        if trouble == "refuse":
            return web.json_response({"error": {"message": "no room"}}, status=500)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if trouble == "hang":
            await asyncio.sleep(3600)
        if trouble == "mumble":
            await response.write(b"data: {oh\n\n")
            return response
        await self._send(response, {"choices": [{"delta": {"role": "assistant"}}]})
        for n in range(body["max_tokens"]):
            if n == 2 and trouble == "complain":
                await self._send(response, {"error": {"message": "engine on fire"}})
                return response
            if n == 2 and trouble == "cut":
                assert request.transport is not None
                request.transport.close()
                return response
            if self.token_s:
                await asyncio.sleep(self.token_s)
            chunk: dict[str, Any] = {"choices": [{"delta": {self.text: "word "}}]}
            if body["stream_options"].get("continuous_usage_stats"):
                chunk["usage"] = {"prompt_tokens": 3, "completion_tokens": 2 * n + 1}
            await self._send(response, chunk)
        await self._send(response, {"choices": [{"delta": {}, "finish_reason": "length"}]})
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": body["max_tokens"]}
        usage |= self.usage
        if self.scheduling is not None:
            usage["headway"] = self.scheduling
        await self._send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _send(self, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


@pytest.fixture
async def fake_server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    app = web.Application()
    app.router.add_get("/v1/models", fake.models)
    app.router.add_post("/v1/chat/completions", fake.chat)
    server = TestServer(app)
    await server.start_server()
    fake.url = str(server.make_url("/v1"))
    yield fake
    await server.close()
