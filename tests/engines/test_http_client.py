"""HttpClient: one backend over HTTP, and what becomes of everything that breaks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
from aiohttp import web
from tests.engines.conftest import Serve
from tests.engines.generations import endpoint, eventually

from headway.engines.engine import BackendGone
from headway.engines.http_client import READ_BUFFER_BYTES, HttpClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Scripted:
    """A server that gives each request of a connection the next answer, and then closes it."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.connections = 0
        self.heads: list[bytes] = []
        """What came, up to the end of each request."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            for answer in self.answers:
                self.heads.append(await reader.readuntil(b"{}"))
                writer.write(answer)
            self.heads.append(await reader.readuntil(b"{}"))
        writer.close()


@asynccontextmanager
async def client_of(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
    host: str = "127.0.0.1",
    **options: bool,
) -> AsyncIterator[HttpClient]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)  # type: ignore[arg-type]
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(endpoint(f"http://{host}:{port}"), **options)
    try:
        yield client
    finally:
        await client.close()
        server.close()


async def test_a_connection_is_used_again() -> None:
    server = Scripted(*[OK] * 3)
    async with client_of(server.talk) as client:
        for _ in range(3):
            assert await client.fetch("/x", b"{}") == (200, b"hi")
    assert server.connections == 1


async def test_without_keep_alive_each_request_has_its_own() -> None:
    server = Scripted(OK)
    async with client_of(server.talk, keep_alive=False) as client:
        for _ in range(3):
            assert await client.fetch("/x", b"{}") == (200, b"hi")
    assert server.connections == 3
    assert all(b"Connection: close" in head for head in server.heads)


async def test_a_request_on_a_connection_that_became_stale_is_sent_once_more() -> None:
    server = Scripted(OK)
    async with client_of(server.talk) as client:
        for expected in (1, 2, 3):
            assert await client.fetch("/x", b"{}") == (200, b"hi")
            assert server.connections == expected


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # the second has two addresses
async def test_on_a_fresh_connection_a_request_is_never_sent_again(host: str) -> None:
    server = Scripted()
    async with client_of(server.talk, host) as client:
        with pytest.raises(BackendGone, match="it closed the connection"):
            await client.open("/x", b"{}")
    assert server.connections == 1


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 ", b"H"])
async def test_a_request_whose_answer_began_is_never_sent_again(begun: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (OK, begun):
            asked.append(await reader.readuntil(b"{}"))
            writer.write(answer)
        writer.close()

    asked: list[bytes] = []
    async with client_of(talk) as client:
        await client.fetch("/x", b"{}")
        with pytest.raises(BackendGone):
            await client.fetch("/x", b"{}")
    assert len(asked) == 2


async def test_dropping_an_answer_that_is_not_read_closes_its_connection() -> None:
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        assert await reader.read() == b""
        left.set()
        writer.close()

    async with client_of(talk) as client:
        response = await client.open("/x", b"{}")
        assert await anext(response.chunks()) == b"hi"
        response.close()
        await asyncio.wait_for(left.wait(), 5)


async def test_a_slow_reader_makes_the_backend_wait(serve: Serve) -> None:
    block = b"x" * 65_536

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(block)
        return response

    application = web.Application()
    application.router.add_get("/flood", flood)
    client = HttpClient(endpoint(await serve(application)))
    response = await client.open("/flood")
    connection = response._response.connection
    assert connection is not None and connection.transport is not None
    transport = connection.transport
    await eventually(lambda: not transport.is_reading())
    assert response._response.content.total_bytes <= 4 * READ_BUFFER_BYTES
    assert len(await response.read()) == len(block) * 1000
    await client.close()


async def test_nothing_is_added_followed_unpacked_or_kept(serve: Serve) -> None:
    asked: list[dict[str, str]] = []

    async def moved(request: web.Request) -> web.Response:
        asked.append(dict(request.headers))
        headers = {"Location": "/other", "Set-Cookie": "a=b", "Content-Encoding": "gzip"}
        return web.Response(status=302, headers=headers, body=b"not unpacked")

    application = web.Application()
    application.router.add_post("/x", moved)
    client = HttpClient(endpoint(await serve(application)))
    for _ in range(2):
        assert await client.fetch("/x", b"{}") == (302, b"not unpacked")
    for headers in asked:
        assert headers["User-Agent"] == "headway"
        assert set(headers) == {
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Content-Type",
            "Content-Length",
        }
        assert headers["Content-Type"] == "application/json"
    await client.close()


async def test_headers_are_found_in_any_case(serve: Serve) -> None:
    async def limited(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7", "X-RateLimit-Limit": "9"})

    application = web.Application()
    application.router.add_get("/x", limited)
    client = HttpClient(endpoint(await serve(application)))
    response = await client.open("/x")
    assert response.headers["retry-after"] == "7"
    assert response.headers["X-Ratelimit-Limit"] == "9"
    await client.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "is not valid HTTP"),
    ],
)
async def test_an_answer_that_is_broken_is_gone(answer: bytes, reason: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(answer)
        writer.close()

    async with client_of(talk) as client:
        with pytest.raises(BackendGone, match=reason):
            await client.fetch("/x", b"{}")


async def test_a_server_without_tls_or_with_a_certificate_of_its_own_is_gone() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    for tls, reason in ((None, "cannot connect: .*SSL"), (context, "cannot connect: .*CERT")):
        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(endpoint(f"https://127.0.0.1:{port}"))
        with pytest.raises(BackendGone, match=reason):
            await client.open("models")
        await client.close()
        server.close()


@pytest.mark.parametrize("url", ["http://x..y", "http:///x", "http://gpu:99999"])
async def test_a_url_that_cannot_be_is_gone(url: str) -> None:
    client = HttpClient(endpoint(url))
    with pytest.raises(BackendGone, match="fake"):
        await client.open("models")
    await client.close()


async def test_a_late_answer_is_gone() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with client_of(talk) as client:
        with pytest.raises(BackendGone, match="no answer in time"):
            await client.fetch("/x", timeout_s=0.05)


async def test_closing_the_client_ends_whoever_still_reads() -> None:
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        request = await reader.readuntil(b"{}")
        asked += 1
        if b"silent" not in request:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with client_of(talk) as client:
        chunks = (await client.open("/x", b"{}")).chunks()
        assert await anext(chunks) == b"hi"
        waiting = asyncio.ensure_future(anext(chunks))  # type: ignore[arg-type]
        unanswered = asyncio.ensure_future(client.open("/silent", b"{}"))
        await eventually(lambda: asked == 2)
        await client.close()
        for reader in (waiting, unanswered):
            with pytest.raises(BackendGone):
                await asyncio.wait_for(reader, 5)
        with pytest.raises(BackendGone, match="were closed"):
            await client.open("/x", b"{}")


async def test_events_come_whole_however_they_are_sent(serve: Serve) -> None:
    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for block in (b": waiting\r\n\r", b"\ndata:", b" a\r\n\r\ndata: b\rdata: c\r\r", b"data:d"):
            await response.write(block)
        return response

    application = web.Application()
    application.router.add_get("/x", events)
    client = HttpClient(endpoint(await serve(application)))
    response = await client.open("/x")
    assert [data async for data in response.events()] == [b"a", b"b\nc", b"d"]
    await client.close()
