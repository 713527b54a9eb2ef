"""What is not HTTP as the standard has it is refused, and never taken for another request."""

from __future__ import annotations

import json

import pytest
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.raw_client import CHAT, GOOD, chunked, connected

from headway.gateway.server import Gateway

NEXT = b"GET /healthz HTTP/1.1\r\nHost: %b\r\n\r\n"


pytestmark = pytest.mark.usefixtures("unharmed")

# ---- where a message ends: a proxy in front must not see it elsewhere ------------------------

LENGTHS = [
    [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
    [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    [b"Content-Length: 5", b"Content-Length: 6"],
    [b"Content-Length: 5, 6"],
    [b"Content-Length: +5"],
    [b"Content-Length: -5"],
    [b"Content-Length: 0x5"],
    [b"Content-Length: 5_0"],
    [b"Content-Length: 5 5"],
    [b"Content-Length:"],
    [b"Content-Length: \xb2"],
    [b"Content-Length : 5"],
    [b"Content-Length: 5\x00"],
    [b"Content-Length: 18446744073709551621"],
    [b"Transfer-Encoding: identity"],
    [b"Transfer-Encoding: xchunked"],
    [b"Transfer-Encoding: chunked, identity"],
    [b"Transfer-Encoding: gzip"],
    [b"Transfer-Encoding: \x0bchunked"],
    [b"Transfer-Encoding : chunked"],
    [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
    [b"Transfer-Encoding:", b" chunked"],
    [b"X-Folded: a", b" b"],
    [b"X-Folded: a", b"\tContent-Length: 5"],
]


@pytest.mark.parametrize("headers", LENGTHS, ids=lambda headers: b" | ".join(headers).decode("l1"))
async def test_a_length_that_two_readers_may_take_differently(
    gateway: Gateway, headers: list[bytes]
) -> None:
    async with connected(gateway.address) as client:
        head = client.request("POST", CHAT, *headers)
        client.send(head + b"0\r\n\r\n" + NEXT % client.host)
        await client.refused(400, 413, 501)


CHUNKS = [
    b"0x1\r\na\r\n0\r\n\r\n",
    b"+1\r\na\r\n0\r\n\r\n",
    b"-1\r\na\r\n0\r\n\r\n",
    b"1_0\r\naaaaaaaaaaaaaaaa\r\n0\r\n\r\n",
    b" 1\r\na\r\n0\r\n\r\n",
    b"\r\na\r\n0\r\n\r\n",
    b"zz\r\na\r\n0\r\n\r\n",
    b"1\na\r\n0\r\n\r\n",
    b"1\r\na\n0\r\n\r\n",
    b"1\r\nab\r\n0\r\n\r\n",
    b"1\r\na0\r\n\r\n",
    b"1;a=\nb\r\na\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
    b"10000000000000001\r\na\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("body", CHUNKS)
async def test_a_chunk_that_is_none(gateway: Gateway, body: bytes) -> None:
    async with connected(gateway.address) as client:
        head = client.request("POST", CHAT, b"Transfer-Encoding: chunked")
        client.send(head + body + NEXT % client.host)
        await client.refused(400, 413)


async def test_chunks_with_extensions_and_a_trailer_are_fine(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        body = b'%x;name="value"\r\n%b\r\n' % (len(GOOD), GOOD) + b"0\r\nX-Trailer: here\r\n\r\n"
        client.send(client.request("POST", CHAT, b"Transfer-Encoding: chunked") + body)
        assert (await client.answer()).status == 200
        client.send(client.request("GET", "/healthz"))
        assert (await client.answer()).status == 200


TRAILERS = [b"x-headway-tenant: evil", b"X-Headway-Tenant: evil", b"x-headway-tier: batch"]


@pytest.mark.parametrize("trailer", TRAILERS)
async def test_a_trailer_is_no_header(gateway: Gateway, trailer: bytes) -> None:
    async with connected(gateway.address) as client:
        head = client.request("POST", CHAT, b"Transfer-Encoding: chunked")
        client.send(head + chunked(GOOD, trailer))
        answer = await client.answer()
    assert answer.status in (200, 400)
    if answer.status == 200:
        scheduled = json.loads(answer.body)["usage"]["headway"]
        assert (scheduled["tenant"], scheduled["tier"]) == ("anonymous", "standard")


async def test_a_trailer_ends_no_later_request(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        head = client.request("POST", CHAT, b"Transfer-Encoding: chunked")
        client.send(head + chunked(GOOD, b"Content-Length: 5", b"Connection: close"))
        assert (await client.answer()).status in (200, 400)


async def test_a_body_that_ends_before_its_length(gateway: Gateway, backend: FakeBackend) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("POST", CHAT, b"Content-Length: %d" % (len(GOOD) + 1)) + GOOD)
        client.half_close()
        answer = await client.rest()
    assert answer == b"" or answer.split(b" ")[1] == b"400"
    assert not backend.requests


async def test_what_follows_a_body_is_the_next_request(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request(body=GOOD) + client.request("GET", "/healthz"))
        assert (await client.answer()).status == 200
        assert json.loads((await client.answer()).body)["status"] == "ok"


# ---- lines ------------------------------------------------------------------------------------

HEADS = [
    b"GET /healthz HTTP/1.1\nHost: %b\n\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\nX-A: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\r\nX-A: b\rX-B: c\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\r\nX-A: b\x00c\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\r\nX\x00A: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\r\nX A: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\r\nX-A\xe9: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\r\n: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: %b\r\nno colon here\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n Host: %b\r\n\r\n",
    b"GET /health\x00z HTTP/1.1\r\nHost: %b\r\n\r\n",
    b"GET /health z HTTP/1.1\r\nHost: %b\r\n\r\n",
    b"GET healthz HTTP/1.1\r\nHost: %b\r\n\r\n",
    b"GET  HTTP/1.1\r\nHost: %b\r\n\r\n",
    b"GET /healthz\r\nHost: %b\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\nHost: %b\r\n\r\n",
    b"GET /healthz HTTP/1.1x\r\nHost: %b\r\n\r\n",
    b"GET /healthz http/1.1\r\nHost: %b\r\n\r\n",
    b"GET /healthz XTTP/1.1\r\nHost: %b\r\n\r\n",
    b"G@T /healthz HTTP/1.1\r\nHost: %b\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting\r\n\r\n",
    b"\x00" * 200 + b"\r\n\r\n",
]


@pytest.mark.parametrize("head", HEADS)
async def test_a_head_that_is_none(gateway: Gateway, head: bytes) -> None:
    async with connected(gateway.address) as client:
        client.send(head.replace(b"%b", client.host))
        await client.refused(400, 505)


async def test_an_empty_line_before_a_request_is_skipped(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        client.send(b"\r\n" + client.request("GET", "/healthz"))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    ("status", "first", "part"),
    [
        ((414, 431, 400), b"GET /", b"x" * 1000),
        ((431, 400), b"GET / HTTP/1.1\r\nHost: x\r\nX-Endless: ", b"x" * 1000),
        ((431, 400), b"GET / HTTP/1.1\r\nHost: x\r\n", b"x" * 1000),
        ((431, 400), b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-Many: x\r\n" * 100),
        ((431, 400), b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: \r\n" * 100),
        ((414, 431, 400), b"x" * 1000, b"x" * 1000),
    ],
    ids=["target", "value", "name", "headers", "empty headers", "method"],
)
async def test_a_head_without_end_is_refused(
    gateway: Gateway, first: bytes, part: bytes, status: tuple[int, ...]
) -> None:
    async with connected(gateway.address) as client:
        client.send(first)
        await client.send_in_packets((part for _ in range(100)), pause_s=0.0)
        try:
            answer = await client.answer()
        except ConnectionResetError:
            return  # it was refused before all of it was sent
    assert answer.status in status
    answer.error()


@pytest.mark.parametrize("size", [100, 8000])
async def test_a_long_header_below_the_limit_is_fine(gateway: Gateway, size: int) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("GET", "/healthz", b"Authorization: Bearer " + b"x" * size))
        assert (await client.answer()).status == 200
        client.send(client.request("GET", "/healthz?" + "x" * size))
        assert (await client.answer()).status == 200


# ---- Host -------------------------------------------------------------------------------------

HOSTS = [
    [],
    [b"Host: localhost", b"Host: localhost"],
    [b"Host: localhost", b"Host: example.com"],
    [b"Host: a b"],
    [b"Host: a/b"],
    [b"Host: user@localhost"],
    [b"Host: localhost, localhost"],
    [b"Host: localhost:99999999"],
    [b"Host: localhost:8o"],
    [b"Host: [::1"],
    [b"Host: \xff\xfe"],
    [b"Host: <script>"],
]


@pytest.mark.parametrize("hosts", HOSTS)
@pytest.mark.parametrize("target", ["/healthz", "/v1/models"])
async def test_exactly_one_host_that_is_one(
    gateway: Gateway, hosts: list[bytes], target: str
) -> None:
    async with connected(gateway.address) as client:
        lines = [f"GET {target} HTTP/1.1".encode(), *hosts, b"Connection: close", b"", b""]
        client.send(b"\r\n".join(lines))
        await client.refused(400)


# ---- bodies that are too large ------------------------------------------------------------------


async def test_a_length_over_the_limit_is_refused_before_the_body(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        length = b"Content-Length: 100001"
        client.send(client.request("POST", CHAT, length, b"Expect: 100-continue"))
        assert (await client.answer()).error()["code"] == "body_too_large"


@pytest.mark.parametrize("size", [1000, 60_000, 1_000_000])
async def test_chunks_over_the_limit_are_refused(gateway: Gateway, size: int) -> None:
    async with connected(gateway.address) as client:
        head = client.request("POST", CHAT, b"Transfer-Encoding: chunked")
        client.send(head + chunked(b" " * 1_000_000, size=size))
        answer = await client.answer()
    assert (answer.status, answer.error()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("expectation", [b"other", b"100-continue, other", b""])
async def test_an_expectation_that_nobody_knows(gateway: Gateway, expectation: bytes) -> None:
    async with connected(gateway.address) as client:
        client.send(client.request("POST", CHAT, b"Expect: " + expectation, body=GOOD))
        assert (await client.answer()).status in (200, 400, 417)
