"""Requests that are only forwarded: what the backend gets, and what the client gets of it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve
from tests.gateway.fake_backend import FakeBackend, chat_reply

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


@pytest.mark.parametrize("stream", [False, True])
async def test_images_for_a_model_that_reads_text_are_the_client_s_mistake(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, stream: bool
) -> None:
    gateway = await serve(backend)
    message = "image input is not supported - hint: you may need to provide the mmproj"
    backend.faults.append((500, {"error": {"message": message, "code": 500}}))
    asked = {"model": "fake", "messages": SEEN, "stream": stream}
    async with http.post(f"{gateway.address}/v1/chat/completions", json=asked) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert "cannot read images or audio; send text only" in error["message"]
    assert error["type"] == "invalid_request_error" and error["param"] == "messages"
    assert len(backend.requests) == 1, "it is not tried again"


@pytest.mark.parametrize("tokens", [10**400, 10**10, -1, 1.5, "many", [], {}])
async def test_counts_that_cannot_be_true_are_left_out(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, tokens: Any
) -> None:
    gateway = await serve(backend)
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": tokens,
        "total_tokens": tokens,
        "prompt_tokens_details": {"cached_tokens": tokens},
    }
    backend.faults.append((200, chat_reply("fake") | {"usage": usage}))
    event = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    backend.pieces = [
        b"data: " + json.dumps(one).encode() + b"\n\n"
        for one in (event, {"choices": [], "usage": usage})
    ]
    asked = {"model": "fake", "messages": HELLO}
    async with http.post(f"{gateway.address}/v1/chat/completions", json=asked) as answer:
        assert answer.status == 200, await answer.text()
        whole = (await answer.json())["usage"]
    streamed = asked | {"stream": True, "stream_options": {"include_usage": True}}
    async with http.post(f"{gateway.address}/v1/chat/completions", json=streamed) as answer:
        text = await answer.text()
    last = json.loads(text.split("data: ")[-2])["usage"]
    for got in (whole, last):
        assert got["prompt_tokens"] == 7 and got["headway"]
        assert "completion_tokens" not in got and "total_tokens" not in got


@pytest.mark.parametrize("answer", [{"detail": "busy"}, {"choices": None}, {"choices": {}}, {}])
async def test_an_answer_without_choices_is_none(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, answer: dict[str, Any]
) -> None:
    gateway = await serve(backend)
    backend.faults.append((200, answer))
    asked = {"model": "fake", "messages": HELLO}
    async with http.post(f"{gateway.address}/v1/chat/completions", json=asked) as answered:
        assert (await answered.json())["choices"]
    assert len(backend.requests) == 2


async def test_embeddings_without_data_are_none(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.faults.append((200, {"object": "list"}))
    asked = {"model": "fake", "input": "a"}
    async with http.post(f"{gateway.address}/v1/embeddings", json=asked) as answered:
        assert (await answered.json())["data"]
    assert len(backend.requests) == 2


async def test_usage_that_is_no_utf_8_is_none(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(backend)
    backend.script = [
        b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
        b'{"object": "list", "data": [], "usage": {"prompt_tokens": 3, "\x80total_tokens": 3}}',
    ]
    asked = {"model": "fake", "input": "a"}
    async with http.post(f"{gateway.address}/v1/embeddings", json=asked) as answer:
        assert answer.status == 200
        assert set((await answer.json())["usage"]) == {"headway"}
