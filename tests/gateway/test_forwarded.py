"""Requests that are only forwarded: what the backend gets, and what the client gets of it."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve
from tests.gateway.fake_backend import FakeBackend

PIXEL = "data:image/png;base64,iVBORw0KGgo="
SEEN = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        ],
    }
]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": SEEN},
        {"max_tokens": -1},
        {"max_tokens": None},
        {"max_completion_tokens": -1, "max_tokens": 5},
        {"service_tier": "gold"},
        {"something": {"new": [1.0, "é"]}},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_reaches_the_backend_as_it_came(
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    fields: dict[str, Any],
    stream: bool,
) -> None:
    gateway = await serve(backend)
    asked = {"model": "fake", "messages": HELLO, "stream": stream} | fields
    async with http.post(f"{gateway.address}/v1/chat/completions", json=asked) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
    path, got = backend.requests[-1]
    got.pop("stream_options", None)
    assert path == "/v1/chat/completions"
    assert got == asked
