"""Valid HTTP that asks for odd things: it is answered, or refused as what it is."""

from __future__ import annotations

import json

import pytest
from tests.gateway.raw_client import CHAT, GOOD, STREAMED, connected

from headway.gateway.server import Gateway

pytestmark = pytest.mark.usefixtures("unharmed")

# ---- methods and targets ----------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/healthz", "/v1/models", "/metrics", "/openapi.json", "/docs"])
async def test_head_is_get_without_the_body(gateway: Gateway, target: str) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("HEAD", target), client.request("GET", "/healthz"))
        answer = await client.answer(to_head=True)
        assert answer.status == 200
        assert int(answer.all("content-length")[0]) > 0
        assert json.loads((await client.answer()).body)["status"] == "ok"


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "BREW", "get", "PROPFIND", "CONNECT"])
async def test_other_methods(gateway: Gateway, method: str) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request(method, CHAT, b"X-Secret: 7357"))
        answer = await client.answer(to_head=method == "HEAD")
    assert answer.status in (400, 404, 405, 501)
    assert b"7357" not in answer.body
    if answer.status == 405:
        assert "POST" in answer.all("allow")[0]


@pytest.mark.parametrize("target", ["*", "/", CHAT, "/v1/models", "/nothing"])
async def test_options(gateway: Gateway, target: str) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("OPTIONS", target), client.request("GET", "/healthz"))
        assert (await client.answer()).status in (200, 204, 400, 404, 405)


async def test_absolute_and_encoded_targets_are_the_same_resource(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        for target in (b"http://%b/v1/models" % client.host, b"/v1/%6dodels", b"/v1/models?a=b&&="):
            client.send(client.request("GET", target))
            answer = await client.answer()
            assert (answer.status, b'"fake"' in answer.body) == (200, True), target


TARGETS = [
    "//v1/models",
    "/v1/../v1/models/",
    "/v1/models/..%2f..%2fetc%2fpasswd",
    "/v1/models/%00",
    "/v1/models/%ff%fe",
    "/v1/models/%",
    "/v1/models/%zz",
    "/v1/models/%ed%a0%80",
    "/v1/models/" + "%2e" * 3000,
    "http://[::1/",
    "http://",
    "http://localhost:99999/healthz",
    "ftp://localhost/healthz",
    "/%0d%0aSet-Cookie:%20a=b",
    "/v1/models#fragment",
    "/;a=b",
    "/?" + "&".join(["a=b"] * 3000),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:40])
async def test_odd_targets_are_the_client_s_fault(gateway: Gateway, target: str) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("GET", target))
        answer = await client.answer()
    assert answer.status in (200, 400, 404, 414, 421, 431)
    assert not answer.all("set-cookie")


@pytest.mark.parametrize(
    "limit",
    ["0" * 5000 + "5", "9" * 5000, "%00", "1%0d%0a", "%d9%a1", "1.5", "-1", "", "1&limit=x"],
)
async def test_a_limit_is_a_number_or_a_fault(gateway: Gateway, limit: str) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("GET", f"/v1/headway/queue?limit={limit}"))
        assert (await client.answer()).status in (200, 400)


VALUES = [
    b"0" * 5000 + b"5",
    b"9" * 5000,
    b"\xff\xfe",
    b"\xd9\xa1",
    b"1e9",
    b"nan",
    b"",
    b"-0",
    b"1\t",
]
NAMES = [
    b"x-headway-deadline-ms",
    b"x-headway-expected-tokens",
    b"x-headway-tier",
    b"x-headway-tenant",
    b"x-headway-program",
    b"x-request-id",
    b"traceparent",
    b"Content-Encoding",
    b"Content-Type",
    b"Accept-Encoding",
    b"Origin",
    b"Cookie",
    b"If-Modified-Since",
    b"Range",
    b"Expect",
    b"Inference-Header-Content-Length",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:8].decode("l1"))
async def test_no_header_value_breaks_it(gateway: Gateway, name: bytes, value: bytes) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("POST", CHAT, name + b": " + value, body=GOOD))
        answer = await client.answer()
    assert answer.status < 500 or answer.error()["code"] == "deadline_exceeded"


@pytest.mark.parametrize("field", ["user", "model", "service_tier"])
@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "\ud800", "\x00", "é" * 300])
async def test_no_field_gets_into_the_headers(gateway: Gateway, field: str, value: str) -> None:
    async with connected(gateway.address) as client:
        body = json.dumps(json.loads(GOOD) | {field: value}).encode()
        client.send(client.request(body=body))
        answer = await client.answer()
    assert answer.status < 500
    assert not answer.all("set-cookie")


# ---- versions, upgrades, answers ----------------------------------------------------------------


async def test_http_1_0_closes_after_its_answer(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request(body=STREAMED, version=b"1.0"))
        answer = await client.answer()
        assert not answer.all("transfer-encoding")
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_http_1_0_is_kept_alive_if_asked(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        for _ in range(2):
            keep = b"Connection: keep-alive"
            client.send(client.request("GET", "/healthz", keep, version=b"1.0"))
            answer = await client.answer()
            assert answer.status == 200
            assert answer.all("connection") == ["keep-alive"]


async def test_http_1_0_needs_no_host(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 " in await client.rest()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_connection_close_is_heeded(gateway: Gateway, version: bytes) -> None:
    async with connected(gateway.address) as client:
        close = b"Connection: close"
        client.send(client.request("POST", CHAT, close, body=GOOD, version=version))
        assert (await client.answer()).status == 200
        assert await client.rest() == b""


OFFERS = [
    [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"],
    [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"],
    [b"Connection: Upgrade", b"Upgrade: tcp"],
    [b"Connection: upgrade", b"UPGRADE: TLS/1.0, h2c"],
    [b"Upgrade: websocket"],
]


@pytest.mark.parametrize("headers", OFFERS, ids=lambda headers: headers[-1].decode())
@pytest.mark.parametrize("packet_bytes", [1_000_000, 7, 1])
async def test_an_upgrade_that_is_not_taken_leaves_the_request_as_it_is(
    gateway: Gateway, headers: list[bytes], packet_bytes: int
) -> None:
    async with connected(gateway.address) as client:
        sent = client.request("POST", CHAT, *headers, body=GOOD)
        at = sent.index(b"pgrade" if b"pgrade" in sent else b"PGRADE") - 20
        pieces = [
            sent[:at],
            *(sent[n : n + packet_bytes] for n in range(at, at + 60, packet_bytes)),
        ]
        pieces = pieces if packet_bytes < 100 else [sent]
        done = sum(map(len, pieces))
        await client.send_in_packets([*pieces, sent[done:]], pause_s=0.001)
        answer = await client.answer()
        assert (answer.status, b"word99" in answer.body) == (200, True)
        client.send(client.request("GET", "/healthz"))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (b"not HTTP\r\n\r\n", 400),
        (b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n" % CHAT.encode(), 408),
        (b"GET / HTTP/1.1\r\nHost: local", 408),
    ],
    ids=["answer", "error", "too long", "malformed", "slow body", "slow head"],
)
async def test_every_answer_names_one_server(gateway: Gateway, sent: bytes, status: int) -> None:
    async with connected(gateway.address) as client:
        client.send(sent)
        answer = await client.answer()
    assert answer.status in ((status,) if status != 431 else (400, 431))
    assert answer.all("server") == ["headway"]
    assert len(answer.all("content-type")) == 1 and len(answer.all("date")) <= 1


@pytest.mark.parametrize("body", [GOOD, STREAMED], ids=["whole", "stream"])
async def test_an_answer_from_a_backend_does_so_too(gateway: Gateway, body: bytes) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request(body=body))
        answer = await client.answer()
    assert answer.all("server") == ["headway"]
    assert len(answer.all("date")) == len(answer.all("content-type")) == 1
    assert len(answer.all("content-length") + answer.all("transfer-encoding")) == 1
