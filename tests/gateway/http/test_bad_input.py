"""Everything that can be wrong with a request is a clear 4xx in OpenAI's shape."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO
from tests.gateway.fake_backend import FakeBackend

from headway.gateway.server import Gateway

CHAT = "/v1/chat/completions"
GOOD = {"model": "fake", "messages": HELLO}


async def error_of(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The error object, after a check of its shape."""
    assert answer.content_type == "application/json", await answer.text()
    error = (await answer.json())["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and error["type"]
    return error


pytestmark = pytest.mark.usefixtures("unharmed")

BODIES = [
    (b"", 400, "invalid_json", None, "after byte 0"),
    (b"{", 400, "invalid_json", None, "after byte 1"),
    (b'{"model": "fake", "messages": [}', 400, "invalid_json", None, "byte 31"),
    (b"[]", 400, "invalid_value", None, "object"),
    (b"null", 400, "invalid_value", None, "object"),
    (b'{"messages": []}', 400, "invalid_value", "messages", "length"),
    (b'{"model": "fake"}', 400, "invalid_value", "messages", "missing"),
    (b'{"messages": "hi"}', 400, "invalid_value", "messages", "array"),
    (b'{"messages": [{"role": 1}]}', 400, "invalid_value", "messages[0].role", "str"),
    (b'{"messages": [{"role": "user", "content": "\xff"}]}', 400, "invalid_utf8", None, "UTF-8"),
    (b'{"messages": [{"role": "user"}], "x": "\xff"}', 400, "invalid_utf8", None, "byte 39"),
    (b'{"messages": ' + b"[" * 90_000, 400, None, "messages[0]", ""),
    (b'{"x": ' + b"[" * 40_000 + b"]" * 40_000 + b"}", 400, None, None, ""),
    (b"\xef\xbb\xbf{}", 400, "invalid_json", None, "begins with a byte order mark"),
    (b"--x\r\nContent-Disposition: form-data", 400, "invalid_json", None, "as a form does"),
    (b'{"prompt": "hi"}', 400, "invalid_value", "messages", "is a field of /v1/completions"),
    (b'{"input": "hi"}', 400, "invalid_value", "messages", "is a field of /v1/responses"),
    (b" " * 200_000, 413, "body_too_large", None, "100000"),
]


@pytest.mark.parametrize(("body", "status", "code", "param", "text"), BODIES)
async def test_bodies(
    gateway: Gateway,
    http: aiohttp.ClientSession,
    body: bytes,
    status: int,
    code: str | None,
    param: str | None,
    text: str,
) -> None:
    async with http.post(gateway.address + CHAT, data=body) as answer:
        error = await error_of(answer)
    assert answer.status == status
    assert code is None or error["code"] == code
    assert error["param"] == param
    assert text in error["message"]


FIELDS = [
    ({"max_tokens": -2}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_completion_tokens": -5}, "max_completion_tokens"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": -1}, "temperature"),
    ({"top_p": 2}, "top_p"),
    ({"n": 0}, "n"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": 1}, "stream_options"),
    ({"stop": 5}, "stop"),
    ({"tools": {}}, "tools"),
    ({"user": 5}, "user"),
    ({"priority": "high"}, "priority"),
    ({"metadata": "x"}, "metadata"),
    ({"service_tier": 1}, "service_tier"),
    ({"model": 7}, "model"),
]


@pytest.mark.parametrize(("fields", "param"), FIELDS)
async def test_wrong_fields_are_named(
    gateway: Gateway, http: aiohttp.ClientSession, fields: dict[str, Any], param: str
) -> None:
    async with http.post(gateway.address + CHAT, json=GOOD | fields) as answer:
        error = await error_of(answer)
    assert (answer.status, error["param"]) == (400, param)
    assert param in error["message"]


async def test_a_limit_that_is_no_number_of_tokens_is_named_for_completions_too(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    body = {"model": "fake", "prompt": "x", "max_completion_tokens": 10**400}
    async with http.post(gateway.address + "/v1/completions", json=body) as answer:
        error = await error_of(answer)
    assert (answer.status, error["param"]) == (400, "max_completion_tokens")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-headway-tier", "gold"),
        ("x-headway-deadline-ms", "soon"),
        ("x-headway-deadline-ms", "-5"),
        ("x-headway-deadline-ms", "0"),
        ("x-headway-deadline-ms", "9" * 30),
        ("x-headway-expected-tokens", "1.5"),
    ],
)
async def test_wrong_headers_are_named(
    gateway: Gateway, http: aiohttp.ClientSession, header: str, value: str
) -> None:
    async with http.post(gateway.address + CHAT, json=GOOD, headers={header: value}) as answer:
        error = await error_of(answer)
    assert (answer.status, error["param"]) == (400, header)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("POST", "/", 405),
        ("GET", "/v1/nope", 404),
        ("POST", "/v1/files", 404),
        ("GET", CHAT, 405),
        ("DELETE", CHAT, 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/models/fake", 405),
        ("GET", "/v1/models/none", 404),
        ("GET", "/v1/models/%ff%00", 404),
        ("GET", "/v1/headway/queue?limit=x", 400),
        ("GET", "/v1/headway/queue?limit=0", 400),
    ],
)
async def test_paths_and_methods(
    gateway: Gateway, http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with http.request(method, gateway.address + path) as answer:
        await error_of(answer)
        assert answer.status == status
        if status == 405:
            assert answer.headers["Allow"]


async def test_an_unknown_model_is_404_and_lists_the_known(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    async with http.post(gateway.address + CHAT, json=GOOD | {"model": "gpt-9"}) as answer:
        error = await error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "gpt-9" in error["message"] and "fake" in error["message"]


async def test_a_prompt_beyond_the_context_is_the_engine_s_400_in_openai_s_shape(
    gateway: Gateway, http: aiohttp.ClientSession, backend: FakeBackend
) -> None:
    detail = {
        "code": 400,
        "message": "request (3000 tokens) exceeds the available context size (2048 tokens)",
        "type": "exceed_context_size_error",
    }
    backend.faults.append((400, {"error": detail}))
    async with http.post(gateway.address + CHAT, json=GOOD) as answer:
        error = await error_of(answer)
    assert (answer.status, error["code"]) == (400, "context_length_exceeded")
    assert "3000 tokens" in error["message"]


@pytest.mark.parametrize(
    "body",
    [{"detail": "nope"}, {"message": "nope"}, {"error": "nope"}, {"error": {"message": "nope"}}],
)
async def test_other_shapes_of_the_engine_s_errors(
    gateway: Gateway, http: aiohttp.ClientSession, backend: FakeBackend, body: dict[str, Any]
) -> None:
    backend.faults.append((422, body))
    async with http.post(gateway.address + CHAT, json=GOOD) as answer:
        error = await error_of(answer)
    assert (answer.status, error["message"]) == (422, "nope")


async def test_the_backend_s_refusal_of_our_key_is_not_the_client_s_fault(
    gateway: Gateway, http: aiohttp.ClientSession, backend: FakeBackend
) -> None:
    backend.faults.append((401, {"error": {"message": "bad key"}}))
    async with http.post(gateway.address + CHAT, json=GOOD) as answer:
        error = await error_of(answer)
    assert (answer.status, error["code"]) == (502, "backend_refused")


async def test_compressed_bodies(gateway: Gateway, http: aiohttp.ClientSession) -> None:
    headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps(GOOD).encode())
    async with http.post(gateway.address + CHAT, data=body, headers=headers) as answer:
        assert answer.status == 200
    bomb = gzip.compress(b" " * 10_000_000)
    async with http.post(gateway.address + CHAT, data=bomb, headers=headers) as answer:
        await error_of(answer)
        assert answer.status == 413
    async with http.post(gateway.address + CHAT, data=b"no gzip", headers=headers) as answer:
        await error_of(answer)
        assert answer.status == 400


async def raw(gateway: Gateway, sent: bytes, pause_s: float = 0.0) -> bytes:
    """Everything that comes back on a bare connection, until the server closes it."""
    host, port = gateway.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    async def send() -> None:
        if not pause_s:
            writer.write(sent)
            return
        for at in range(len(sent)):
            writer.write(sent[at : at + 1])
            await asyncio.sleep(pause_s)

    sending = asyncio.ensure_future(send())
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        sending.cancel()
        writer.close()


def shape(answer: bytes, status: int) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"%d" % status, head
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("status", "head"),
    [
        (431, b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * 100_000),
        (400, b"GET / HTTP/1.1\r\n" + b"X-Many: x\r\n" * 10_000 + b"\r\n"),
        (431, b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/9.9\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not HTTP at all\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nno colon here\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"),
        (400, b"CONNECT example.com:80 HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (
            413,
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999\r\n\r\n",
        ),
    ],
)
async def test_broken_http(gateway: Gateway, head: bytes, status: int) -> None:
    error = shape(await raw(gateway, head), status)
    assert error["code"] and len(error["message"]) < 400


async def test_a_broken_chunked_body(gateway: Gateway) -> None:
    head = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    shape(await raw(gateway, head + b"zz\r\nxx\r\n"), 400)


POST = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "pause_s"),
    [(POST + b"Content-Length: 500\r\n\r\n{{{", 0.0), (POST + b"x" * 999, 0.02)],
    ids=["body", "header"],
)
async def test_a_client_that_sends_too_slowly_is_let_go(
    gateway: Gateway, sent: bytes, pause_s: float
) -> None:
    assert shape(await raw(gateway, sent, pause_s), 408)["code"] == "request_timeout"


async def test_expect_100_continue(gateway: Gateway) -> None:
    host, port = gateway.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(GOOD).encode()
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        % (CHAT.encode(), len(body))
    )
    assert await asyncio.wait_for(reader.readline(), 2) == b"HTTP/1.1 100 Continue\r\n"
    await reader.readline()
    writer.write(body)
    assert await asyncio.wait_for(reader.readline(), 2) == b"HTTP/1.1 200 OK\r\n"
    writer.close()


async def answers(gateway: Gateway, sent: bytes, count: int) -> list[bytes]:
    """The bodies of the next `count` answers on one connection."""
    host, port = gateway.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    bodies = []
    async with asyncio.timeout(30):
        for _ in range(count):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            bodies.append(await reader.readexactly(length))
    writer.close()
    return bodies


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    body = json.dumps(GOOD).encode()
    post = POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    get = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    first, second, third, fourth = await answers(gateway, post + get + post + get, 4)
    assert b"word99" in first and b"word99" in third
    assert b'"list"' in second and b'"list"' in fourth


async def test_an_upgrade_that_is_not_offered_is_ignored(gateway: Gateway) -> None:
    body = json.dumps(GOOD).encode()
    head = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    sent = (head + b"Content-Length: %d\r\n\r\n%b") % (len(body), body)
    assert b"word99" in (await answers(gateway, sent, 1))[0]


async def test_http_1_0(gateway: Gateway) -> None:
    body = json.dumps(GOOD | {"stream": True}).encode()
    head = b"POST %b HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(body))
    answer = await raw(gateway, head + body)
    assert b"chunked" not in answer and answer.endswith(b"data: [DONE]\n\n")


async def test_a_body_in_many_pieces_and_chunks(gateway: Gateway) -> None:
    body = json.dumps(GOOD).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert b"word99" in await raw(gateway, head + chunks)


async def test_a_client_that_reads_slowly_gets_everything(
    gateway: Gateway, backend: FakeBackend
) -> None:
    host, port = gateway.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    body = json.dumps(GOOD | {"stream": True}).encode()
    writer.write(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    received = b""
    while block := await asyncio.wait_for(reader.read(512), 5):
        received += block
        await asyncio.sleep(0)
    assert received.count(b"data:") == 102 and received.endswith(b"0\r\n\r\n")
    writer.close()


@pytest.mark.parametrize(
    "path",
    ["/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/", "/x" + CHAT],
)
async def test_a_path_with_too_little_or_too_much_before_it_names_the_right_one(
    gateway: Gateway, http: aiohttp.ClientSession, path: str
) -> None:
    async with http.post(gateway.address + path, json=GOOD) as answer:
        assert answer.status == 404
        message = (await error_of(answer))["message"]
    assert f"There is no {path}; did you mean {CHAT}? Else see /docs" in message


async def test_a_path_like_no_other_is_only_sent_to_the_docs(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    for path in ("/api/chat", "/v1/audio/transcriptions", "//"):
        async with http.get(gateway.address + path) as answer:
            assert answer.status == 404
            assert "did you mean" not in (await error_of(answer))["message"]
