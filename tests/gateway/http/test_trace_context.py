"""A request can be followed: what names it goes to the backend, and back to its client."""

from __future__ import annotations

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.gateway.api.errors import ApiError
from headway.gateway.http.trace_context import trace_headers

CHAT = "/v1/chat/completions"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = {"traceparent": PARENT, "tracestate": "vendor=1", "x-request-id": "mine-7"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (TRACE, TRACE),
        ({}, {}),
        ({"traceparent": PARENT.upper(), "tracestate": "vendor=1"}, {}),
        ({"traceparent": "junk"}, {}),
        ({"tracestate": "vendor=1"}, {}),
        ({"traceparent": PARENT, "tracestate": "x" * 513}, {"traceparent": PARENT}),
        ({"x-request-id": "two words"}, {}),
    ],
)
def test_what_is_valid_is_kept(sent: dict[str, str], kept: dict[str, str]) -> None:
    assert trace_headers(sent) == kept


def test_a_request_id_has_a_limit() -> None:
    with pytest.raises(ApiError, match="x-request-id is too long"):
        trace_headers({"x-request-id": "x" * 257})


@pytest.mark.parametrize("stream", [False, True])
async def test_it_reaches_the_backend_and_the_client(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, stream: bool
) -> None:
    gateway = await serve(backend)
    body = {"model": "fake", "messages": HELLO, "stream": stream}
    async with http.post(gateway.address + CHAT, json=body, headers=TRACE) as answer:
        await answer.read()
        assert {name: answer.headers[name] for name in TRACE} == TRACE
        assert answer.headers["x-headway-request-id"].startswith("req-")
    assert {name: backend.heads[-1][name] for name in TRACE} == TRACE


async def test_without_one_the_id_is_ours(serve: Serve, http: aiohttp.ClientSession) -> None:
    engine = ExactEngine()
    engine.allow()
    gateway = await serve(engine)
    body = {"model": "counter", "messages": HELLO}
    async with http.post(gateway.address + CHAT, json=body) as answer:
        assert answer.headers["x-request-id"] == answer.headers["x-headway-request-id"]
        assert "traceparent" not in answer.headers


async def test_exact_answers_carry_it_too(serve: Serve, http: aiohttp.ClientSession) -> None:
    engine = ExactEngine()
    engine.allow()
    gateway = await serve(engine)
    body = {"model": "counter", "messages": HELLO, "stream": True}
    async with http.post(gateway.address + CHAT, json=body, headers=TRACE) as answer:
        await answer.read()
        assert {name: answer.headers[name] for name in TRACE} == TRACE
    assert engine.headers[-1] == TRACE
