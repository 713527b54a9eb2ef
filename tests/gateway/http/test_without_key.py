"""Where keys are set, a request without one is refused by its head: no body is read for it."""

from __future__ import annotations

import json

import pytest
from tests.gateway.conftest import Serve, catalog_of
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.raw_client import GOOD, chunked, connected

from headway.gateway.keys.keys import hash_key
from headway.gateway.routes.openapi import document
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey

OPEN = {"/", "/healthz", "/readyz", "/openapi.json", "/docs"} | {
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
}
VALUES = {"model": "mood", "version": "1", "verb": "load", "response_id": "resp_1"} | {
    "file_id": "file-1",
    "batch_id": "batch_1",
    "request_id": "req-1",
    "backend": "embedded",
    "prompt": "greet",
    "number": "1",
    "alias": "production",
    "worker": "worker",
    "run": "mb1",
}
DOCUMENTED = [
    (method.upper(), path.format(**VALUES))
    for path, methods in document()["paths"].items()
    for method in methods
    if path not in OPEN
]
PROTECTED = [
    *DOCUMENTED,
    ("POST", "/v2/models/mood/infer"),
    ("GET", "/v2/models/mood"),
    ("POST", "/v2/repository/index"),
    ("POST", "/v2/repository/models/mood/load"),
    ("POST", "/v2/repository/models/mood/unload"),
    ("POST", "/v1/%63hat/completions"),
    ("POST", "/v1/rerank?key=secret"),
    ("GET", "/v1/%6dodels"),
    ("HEAD", "/v1/models"),
]
WRONG = [
    b"X-Api-Key: wrong",
    b"Authorization: Bearer wrong",
    b"Authorization: Bearer \xff\xfe",
    b"Authorization: Basic c2VjcmV0",
    b"Authorization:",
    b"Authorization: Bearer " + b"k" * 4000,
]


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend) -> Gateway:
    key = ApiKey(name="team", sha256=hash_key("secret"))
    return await serve(backend, keys=(key,), catalog=catalog_of("mood"), read_timeout_s=0.5)


@pytest.mark.parametrize(("method", "target"), PROTECTED)
async def test_no_path_answers_without_a_key(gateway: Gateway, method: str, target: str) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request(method, target, b"Connection: close"))
        assert (await client.answer(to_head=method == "HEAD")).status == 401


@pytest.mark.parametrize("key", WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/models", "/v1/rerank"])
async def test_no_wrong_key_opens_it(gateway: Gateway, target: str, key: bytes) -> None:
    async with connected(gateway.address) as client:
        method = "GET" if target == "/v1/models" else "POST"
        client.send(client.request(method, target, key, body=b""))
        assert (await client.answer()).error()["code"] == "invalid_api_key"


async def test_two_keys_are_none(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        keys = [b"Authorization: Bearer wrong", b"Authorization: Bearer secret"]
        client.send(client.request("GET", "/v1/models", *keys))
        assert (await client.answer()).status in (400, 401)


@pytest.mark.parametrize(("method", "target"), [one for one in PROTECTED if one[0] == "POST"])
@pytest.mark.parametrize("expect", [[], [b"Expect: 100-continue"]], ids=["", "100-continue"])
async def test_the_answer_does_not_wait_for_the_body(
    gateway: Gateway, method: str, target: str, expect: list[bytes]
) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request(method, target, b"Content-Length: 10000000", *expect))
        assert (await client.answer()).status == 401


async def test_a_key_in_a_trailer_comes_too_late(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        head = client.request("POST", "/v1/chat/completions", b"Transfer-Encoding: chunked")
        client.send(head + chunked(GOOD, b"Authorization: Bearer secret"))
        assert (await client.answer()).status in (400, 401)


async def test_the_body_that_was_not_read_is_no_request(
    gateway: Gateway, backend: FakeBackend
) -> None:
    async with connected(gateway.address) as client:
        key = b"Authorization: Bearer secret"
        hidden = client.request("POST", "/v1/chat/completions", key, body=GOOD)
        client.send(client.request("POST", "/v1/rerank", body=hidden))
        assert (await client.answer()).status == 401
        client.half_close()
        assert await client.rest() == b"" and not backend.requests


async def test_with_the_key_all_is_open(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        key = b"Authorization: Bearer secret"
        client.send(client.request("POST", "/v1/chat/completions", key, body=GOOD))
        assert (await client.answer()).status == 200
        client.send(client.request("GET", "/v1/models", key))
        assert json.loads((await client.answer()).body)["data"]
