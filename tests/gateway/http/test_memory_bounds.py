"""What one client sends costs a bounded amount of memory and of everybody else's time.

The gateway is a process of its own here: its peak of resident memory is the system's word.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.raw_client import CHAT, GOOD, RawClient, chunked, connected

from headway.gateway.keys.keys import hash_key
from headway.lab.loadtest.server import HeadwayServer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc"),
]

MEGABYTE = 1 << 20
SMALL = 16 * MEGABYTE
"""For what should leave nothing at all; an allocator is never exact."""
LARGE = 320 * MEGABYTE
"""For a body at the limit of 32 MB: ten times what it is."""
PATIENCE_S = 5.0
"""Other clients are answered within this time meanwhile: about 0.5 s on an idle machine, and 17 s
before large bodies were decoded off the loop."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tiny: Path) -> AsyncIterator[HeadwayServer]:
    backend = FakeBackend(record=False)
    await backend.start()
    settings = {
        "backends": [{"url": backend.url, "max_concurrency": 4}],
        "models": [{"name": "text", "path": str(tiny / "text")}],
        "prediction": {"learn": False},
        "limits": {"read_timeout_s": 3.0},
        "log": {"level": "error", "requests_db": None},
    }
    async with HeadwayServer(settings) as server:
        async with aiohttp.ClientSession() as http:  # what is made once is made now
            for _ in range(20):
                async with http.post(address(server) + CHAT, data=GOOD) as answer:
                    assert answer.status == 200
        yield server
    await backend.stop()


def address(server: HeadwayServer) -> str:
    return server.url.removesuffix("/v1")


def resident(pid: int, line: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith(line)) * 1024


@contextmanager
def at_most(server: HeadwayServer, most_bytes: int) -> Iterator[None]:
    """The peak of the gateway's memory inside stays within `most_bytes` of what it had."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    before = resident(server.pid, "VmRSS")
    yield
    added = resident(server.pid, "VmHWM") - before
    assert added <= most_bytes, f"{added / MEGABYTE:.0f} MB more"


class Bystander:
    """Asks something small all the time, and knows the longest that it waited."""

    def __init__(self, server: HeadwayServer) -> None:
        self._address = address(server)
        self.longest_s = 0.0

    async def __aenter__(self) -> Bystander:
        self._task = asyncio.ensure_future(self._ask())
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.sleep(0.05)  # so that it sees the end
        self._task.cancel()

    async def _ask(self) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                begun_s = time.monotonic()
                try:
                    async with http.get(self._address + "/healthz") as answer:
                        assert answer.status == 200
                finally:
                    self.longest_s = max(self.longest_s, time.monotonic() - begun_s)
                await asyncio.sleep(0.02)


LINE = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
)
LETTERS = b"x" * 65536
ENDLESS = {
    "target": (b"GET /", LETTERS),
    "header value": (LINE + b"X-Endless: ", LETTERS),
    "header name": (LINE, LETTERS),
    "headers": (LINE, b"X-Many: x\r\n" * 5000),
    "empty lines": (b"", b"\r\n" * 30_000),
    "no HTTP": (b"", b"\x16\x03\x01" * 20_000),
    "chunk extension": (CHUNKED + b"1;a=", LETTERS),
    "chunk size": (CHUNKED, b"0" * 65536),
    "trailer": (CHUNKED + b"0\r\nX-Endless: ", LETTERS),
    "trailers": (CHUNKED + b"0\r\n", b"X-Many: x\r\n" * 5000),
    "body in chunks": (CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
}


@pytest.mark.parametrize("part", ENDLESS)
async def test_what_has_no_end_is_cut_off(server: HeadwayServer, part: str) -> None:
    first, more = ENDLESS[part]
    # A body may have 32 MB, nothing else more than a few packets.
    most = 4 * 32 * MEGABYTE if part == "body in chunks" else SMALL
    async with Bystander(server) as bystander:
        with at_most(server, most):
            async with connected(address(server)) as client:
                client.send(first)
                assert await client.send_until_closed(more)
    assert bystander.longest_s < PATIENCE_S


@pytest.mark.parametrize("kind", ["views", "answers", "errors"])
async def test_pipelined_requests_that_nobody_reads(server: HeadwayServer, kind: str) -> None:
    with at_most(server, 32 * MEGABYTE):
        async with Bystander(server) as bystander, connected(address(server), 4096) as client:
            one = {
                "views": client.request("GET", "/v1/models"),
                "answers": client.request(body=GOOD),
                "errors": client.request("GET", "/nothing"),
            }[kind]
            client.send(one * (3 * MEGABYTE // 2 // len(one)))
            await asyncio.sleep(1.0)
    assert bystander.longest_s < PATIENCE_S


@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings", "/v1/rerank", "/v1/models/text:predict"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_not_unpacked(server: HeadwayServer, path: str, coding: str) -> None:
    bomb = gzip.compress(b" " * (256 * MEGABYTE), 1)
    with at_most(server, 3 * 32 * MEGABYTE):
        async with Bystander(server) as bystander, connected(address(server)) as client:
            header = b"Content-Encoding: " + coding.encode()
            client.send(client.request("POST", path, header, body=bomb))
            assert (await client.answer()).status in ((413,) if coding == "gzip" else (400, 413))
    assert bystander.longest_s < PATIENCE_S


def filled(opening: bytes, item: bytes, closing: bytes, size: int = 30 * MEGABYTE) -> bytes:
    count = (size - len(opening) - len(closing)) // (len(item) + 1)
    return opening + b",".join(itertools.repeat(item, count)) + closing


USER = b'{"model":"fake","messages":[{"role":"user","content":'
TEXT = b'{"model":"text",'
BODIES = {
    "parts": (CHAT, lambda: filled(USER + b"[", b"{}", b"]}]}")),
    "text parts": (CHAT, lambda: filled(USER + b"[", b'{"type":"text","text":"a"}', b"]}]}")),
    "messages": (CHAT, lambda: filled(b'{"model":"fake","messages":[', b"{}", b"]}")),
    "short messages": (
        CHAT,
        lambda: filled(b'{"model":"fake","messages":[', b'{"role":"user","content":""}', b"]}"),
    ),
    "tools": (CHAT, lambda: filled(USER + b'"a"}],"tools":[', b"{}", b"]}")),
    "stops": (CHAT, lambda: filled(USER + b'"a"}],"stop":[', b'"a"', b"]}")),
    "unknown field": (CHAT, lambda: filled(USER + b'"a"}],"x":[', b"[]", b"]}")),
    "unknown fields": (
        CHAT,
        lambda: (
            USER + b'"a"}],' + b",".join(b'"%d":0' % number for number in range(2_000_000)) + b"}"
        ),
    ),
    "one long text": (CHAT, lambda: USER + b'"' + b"a " * (15 * MEGABYTE) + b'"}]}'),
    "one long word": (CHAT, lambda: USER + b'"' + b"a" * (30 * MEGABYTE) + b'"}]}'),
    "escapes": (CHAT, lambda: USER + b'"' + b"\\u0041" * (5 * MEGABYTE) + b'"}]}'),
    "nested": (CHAT, lambda: USER + b"[" * (30 * MEGABYTE)),
    "nested and closed": (
        CHAT,
        lambda: USER + b"[" * (15 * MEGABYTE) + b"]" * (15 * MEGABYTE) + b"}]}",
    ),
    "nested, unknown": (
        CHAT,
        lambda: b'{"x":' + b'{"a":' * (5 * MEGABYTE) + b"0" + b"}" * (5 * MEGABYTE) + b"}",
    ),
    "a long number": (CHAT, lambda: USER + b'"a"}],"seed":' + b"9" * (10 * MEGABYTE) + b"}"),
    "token ids": (
        "/v1/completions",
        lambda: filled(b'{"model":"fake","prompt":[', b"1", b"]}"),
    ),
    "prompts": (
        "/v1/completions",
        lambda: filled(b'{"model":"fake","prompt":[', b"[]", b"]}"),
    ),
    "inputs": ("/v1/embeddings", lambda: filled(TEXT + b'"input":[', b'"a"', b"]}")),
    "documents": (
        "/v1/rerank",
        lambda: filled(TEXT + b'"query":"a","documents":[', b'"a"', b"]}"),
    ),
    "instances": ("/v1/models/text:predict", lambda: filled(b'{"instances":[', b'"a"', b"]}")),
    "a long input": (
        "/v1/embeddings",
        lambda: TEXT + b'"input":"' + b"a cat " * (5 * MEGABYTE) + b'"}',
    ),
    "user": (CHAT, lambda: USER + b'"a"}],"user":"' + b"u" * (10 * MEGABYTE) + b'"}'),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_a_large_body_of_many_small_things(server: HeadwayServer, kind: str) -> None:
    path, make = BODIES[kind]
    body = make()
    with at_most(server, LARGE):
        async with Bystander(server) as bystander, connected(address(server)) as client:
            client.send(client.request("POST", path, body=body))
            answer = await client.answer(limit_s=10.0)
    assert answer.status < 500
    assert bystander.longest_s < PATIENCE_S


async def test_a_name_that_is_not_kept(server: HeadwayServer) -> None:
    """Forty tenants with a name of a megabyte each."""
    with at_most(server, SMALL * 2):
        async with connected(address(server)) as client:
            for number in range(40):
                body = json.loads(GOOD) | {"user": f"{number}" + "u" * MEGABYTE}
                client.send(client.request(body=json.dumps(body).encode()))
                assert (await client.answer()).status in (200, 400)


async def test_many_names_are_not_kept_for_ever(server: HeadwayServer) -> None:
    async def ask(first: int, count: int) -> None:
        async with connected(address(server)) as client:
            for number in range(first, first + count):
                body = json.loads(GOOD) | {"user": f"{number:0200}"}
                client.send(client.request(body=json.dumps(body).encode()))
                assert (await client.answer()).status == 200

    await ask(0, 200)
    with at_most(server, SMALL):
        await ask(200, 2000)


async def test_connections_that_say_nothing(server: HeadwayServer) -> None:
    with at_most(server, 2 * SMALL):
        async with AsyncExitStack() as stack:
            for _ in range(500):
                await stack.enter_async_context(connected(address(server)))
            async with connected(address(server)) as client:
                client.send(client.request(body=GOOD))
                assert (await client.answer(limit_s=PATIENCE_S)).status == 200


async def test_large_bodies_at_once_are_held_to_a_total(server: HeadwayServer) -> None:
    """Thirty-two bodies of 31 MB come slowly: not all of them are let in."""
    part = b" " * MEGABYTE
    with at_most(server, 600 * MEGABYTE):
        async with AsyncExitStack() as stack:
            clients: list[RawClient] = [
                await stack.enter_async_context(connected(address(server))) for _ in range(32)
            ]
            for client in clients:
                length = b"Content-Length: %d" % (31 * MEGABYTE)
                client.send(client.request("POST", CHAT, length))
            await asyncio.gather(
                *(client.send_until_closed(part, 30 * MEGABYTE) for client in clients)
            )
            async with connected(address(server)) as client:
                client.send(client.request(body=GOOD))
                assert (await client.answer()).status == 200


# ---- without a key ------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(tiny: Path) -> AsyncIterator[HeadwayServer]:
    settings = {
        "keys": [{"name": "team", "sha256": hash_key("secret")}],
        "models": [{"name": "text", "path": str(tiny / "text")}],
        "prediction": {"learn": False},
        "log": {"level": "error", "requests_db": None},
    }
    async with HeadwayServer(settings) as server:
        yield server


@pytest.mark.parametrize("key", [b"X: y", b"Authorization: Bearer wrong"])
@pytest.mark.parametrize(
    "path",
    [CHAT, "/v1/embeddings", "/v1/rerank", "/v1/models/text:predict", "/v2/models/text/infer"],
)
async def test_without_a_key_no_body_is_worth_anything(
    locked: HeadwayServer, path: str, key: bytes
) -> None:
    bomb = gzip.compress(b'{"query":"a","documents":[' + b'"a",' * (7 * MEGABYTE), 1)
    with at_most(locked, SMALL):
        async with Bystander(locked) as bystander, connected(address(locked)) as client:
            header = b"Content-Encoding: gzip"
            client.send(client.request("POST", path, key, header, body=bomb))
            assert (await client.answer()).status == 401
        async with connected(address(locked)) as client:
            client.send(client.request("POST", path, key, b"Transfer-Encoding: chunked"))
            client.send(chunked(b" " * (20 * MEGABYTE), size=MEGABYTE))
            assert (await client.answer()).status == 401
    assert bystander.longest_s < 0.5
