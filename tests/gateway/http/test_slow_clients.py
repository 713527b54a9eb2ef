"""Clients that are slow, that do not read, or that leave: none of them keeps what others need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.gateway.conftest import Serve, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.raw_client import (
    CHAT,
    GOOD,
    LIMIT_S,
    STREAMED,
    RawClient,
    chunked,
    connected,
)

from headway.gateway.server import Gateway

READ_S = 0.3
SEND_S = 0.3
LARGE = [
    b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 200_000)
] * 100 + [b"data: [DONE]\n\n"]
"""A stream that is more than the system takes for a client that does not read."""


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend) -> Gateway:
    return await serve(backend, slots=1, read_timeout_s=READ_S, send_timeout_s=SEND_S)


@pytest.fixture(autouse=True)
async def unharmed(gateway: Gateway, backend: FakeBackend) -> Any:
    """After each of these the only slot is free."""
    yield
    backend.open.set()
    backend.pieces = None
    async with connected(gateway.address) as client:
        client.send(client.request(body=GOOD))
        assert (await client.answer()).status == 200
    assert not gateway.dispatcher.works


# ---- slow to send -------------------------------------------------------------------------------

SLOW = {
    "head": lambda client: client.request("GET", "/healthz", b"X-Slow: " + b"x" * 1000),
    "target": lambda client: client.request("GET", "/" + "x" * 1000),
    "body": lambda client: client.request(body=b" " * 1000 + GOOD),
    "chunks": lambda client: (
        client.request("POST", CHAT, b"Transfer-Encoding: chunked") + chunked(b" " * 500, size=1)
    ),
}


@pytest.mark.parametrize("part", SLOW)
@pytest.mark.parametrize("earlier", [0, 1], ids=["first", "kept alive"])
async def test_a_request_that_trickles_is_answered_408(
    gateway: Gateway, part: str, earlier: int
) -> None:
    async with connected(gateway.address) as client:
        for _ in range(earlier):
            client.send(client.request("GET", "/healthz"))
            assert (await client.answer()).status == 200
        sent = SLOW[part](client)
        sending = asyncio.ensure_future(
            client.send_in_packets([sent[:60], *(sent[n : n + 1] for n in range(60, len(sent)))])
        )
        answer = await client.refused(408)
        assert answer.error()["code"] == "request_timeout"
        sending.cancel()


@pytest.mark.parametrize("part", SLOW)
@pytest.mark.parametrize("earlier", [0, 1], ids=["first", "kept alive"])
async def test_a_request_that_stops_in_the_middle_is_answered_408(
    gateway: Gateway, part: str, earlier: int
) -> None:
    async with connected(gateway.address) as client:
        for _ in range(earlier):
            client.send(client.request(body=GOOD))
            assert (await client.answer()).status == 200
        sent = SLOW[part](client)
        client.send(sent[: len(sent) // 2])
        await client.refused(408)


@pytest.mark.parametrize("part", SLOW)
async def test_so_is_one_that_began_during_the_answer_before(gateway: Gateway, part: str) -> None:
    async with connected(gateway.address) as client:
        sent = SLOW[part](client)
        client.send(client.request(body=GOOD) + sent[: len(sent) // 2])
        assert (await client.answer()).status == 200
        await client.refused(408)


@pytest.mark.parametrize("sent", [b"", b"\r\n"], ids=["nothing", "an empty line"])
async def test_a_connection_that_asks_for_nothing_is_closed(gateway: Gateway, sent: bytes) -> None:
    async with connected(gateway.address) as client:
        client.send(sent)
        answer = await client.rest()
        assert answer == b"" or answer.split(b" ")[1] == b"408"


async def test_the_wait_for_an_answer_is_not_the_client_s_slowness(
    gateway: Gateway, backend: FakeBackend
) -> None:
    backend.open.clear()
    async with connected(gateway.address) as client:
        client.send(client.request(body=GOOD))
        await until(lambda: backend.running == 1)
        await asyncio.sleep(READ_S + SEND_S + 0.2)  # what must not happen needs time not to happen
        backend.open.set()
        assert (await client.answer()).status == 200


async def test_many_connections_that_send_nothing_are_in_nobody_s_way(gateway: Gateway) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(300):
            await stack.enter_async_context(connected(gateway.address))
        async with connected(gateway.address) as client:
            client.send(client.request(body=GOOD))
            assert (await client.answer()).status == 200


# ---- slow to read -------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [0, 1], ids=["alone", "pipelined"])
async def test_a_client_that_does_not_read_its_stream_loses_its_slot(
    gateway: Gateway, backend: FakeBackend, earlier: int
) -> None:
    backend.pieces = LARGE
    async with connected(gateway.address, receive_buffer=4096) as client:
        client.send(client.request(body=STREAMED) * (1 + earlier))
        await until(lambda: backend.running == 1)
        await until(lambda: not gateway.dispatcher.works)


async def test_so_does_one_of_an_engine_that_generates_for_us(serve: Serve) -> None:
    engine = ExactEngine()
    engine.allow(10_000)
    gateway = await serve(engine, send_timeout_s=SEND_S)
    async with connected(gateway.address, receive_buffer=4096) as client:
        body = STREAMED.replace(b'"fake"', b'"counter"').replace(b"}", b"}", 1)
        body = body[:-1] + b', "max_tokens": 1000000}'
        client.send(client.request(body=body))
        await until(lambda: engine.running == 1)

        def keep_going() -> bool:
            engine.allow(100)
            return engine.running == 0 and not gateway.dispatcher.works

        await until(keep_going, limit_s=30)


async def test_one_that_reads_slowly_gets_everything(
    gateway: Gateway, backend: FakeBackend
) -> None:
    backend.pieces = LARGE
    received = bytearray()
    async with connected(gateway.address, receive_buffer=65536) as client:
        client.send(client.request("POST", CHAT, b"Connection: close", body=STREAMED))
        while block := await client.read(200_000):
            received += block
            await asyncio.sleep(0.01)  # 1 s in all, several times the limit
    assert received.count(b"data: ") == 101 and received.endswith(b"0\r\n\r\n")


async def test_a_whole_answer_that_nobody_reads_ends_the_connection(gateway: Gateway) -> None:
    async with connected(gateway.address, receive_buffer=4096) as client:
        client.send(client.request("GET", "/openapi.json") * 1000)
        await asyncio.sleep(SEND_S + 0.5)  # reading would be progress
        assert (await client.rest()).count(b"HTTP/1.1 200 OK") < 1000


# ---- gone ---------------------------------------------------------------------------------------

LEAVE: dict[str, Callable[[RawClient], None]] = {
    "close": RawClient.close,
    "reset": RawClient.reset,
    "half-close": RawClient.half_close,
}
AFTER = {
    "alone": lambda client: b"",
    "a second request": lambda client: client.request(body=GOOD),
    "a second view": lambda client: client.request("GET", "/healthz"),
    "many requests": lambda client: client.request(body=GOOD) * 200,
    "half a request": lambda client: client.request(body=GOOD)[:-5],
    "an empty line": lambda client: b"\r\n",
    "garbage": lambda client: b"\x00\x01garbage\r\n\r\n",
    "half a megabyte": lambda client: client.request("GET", "/healthz", b"X: " + b"y" * 500) * 1000,
}


@pytest.mark.parametrize("body", [GOOD, STREAMED], ids=["whole", "stream"])
@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("after", AFTER)
async def test_a_client_that_leaves_frees_its_slot_whatever_it_sent_after(
    gateway: Gateway, backend: FakeBackend, body: bytes, after: str, leave: str
) -> None:
    backend.open.clear()
    async with connected(gateway.address) as client:
        client.send(client.request(body=body))
        await until(lambda: backend.running == 1)
        await client.send_in_packets([AFTER[after](client)])
        LEAVE[leave](client)
        await until(lambda: backend.running == 0 and not gateway.dispatcher.works)


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("after", ["alone", "a second request"])
async def test_so_does_one_that_leaves_in_the_middle_of_its_stream(
    gateway: Gateway, backend: FakeBackend, after: str, leave: str
) -> None:
    backend.event_pause_s = 0.02
    async with connected(gateway.address) as client:
        client.send(client.request(body=STREAMED) + AFTER[after](client))
        while b"word1 " not in await client.read(65536):
            pass
        LEAVE[leave](client)
        await until(lambda: backend.running == 0 and not gateway.dispatcher.works)
    backend.event_pause_s = 0.0


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("after", ["alone", "a second request"])
async def test_one_that_leaves_the_queue_is_never_run(
    gateway: Gateway, backend: FakeBackend, after: str, leave: str
) -> None:
    backend.open.clear()
    async with connected(gateway.address) as first, connected(gateway.address) as second:
        first.send(first.request(body=GOOD))
        await until(lambda: backend.running == 1)
        second.send(second.request(body=GOOD) + AFTER[after](second))
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        LEAVE[leave](second)
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 0)
        backend.open.set()
        assert (await first.answer()).status == 200
        assert len(backend.requests) == 1


# ---- answers in order ---------------------------------------------------------------------------


async def test_continue_is_not_said_in_the_middle_of_an_answer(
    gateway: Gateway, backend: FakeBackend
) -> None:
    backend.event_pause_s = 0.002
    async with connected(gateway.address) as client:
        head = client.request("POST", CHAT, b"Expect: 100-continue", body=GOOD)[: -len(GOOD)]
        client.send(client.request(body=STREAMED), head)
        first = await client.answer()
        assert first.body.count(b"data: ") == 102
        answer = await client.answer()
        client.send(GOOD)
        while answer.status == 100:
            answer = await client.answer()
        assert (answer.status, b"word99" in answer.body) == (200, True)


async def test_continue_is_said_once_and_only_if_the_body_is_wanted(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        expect = b"Expect: 100-continue"
        client.send(client.request("POST", CHAT, expect, body=GOOD)[: -len(GOOD)])
        assert (await client.answer()).status == 100
        client.send(GOOD)
        assert (await client.answer()).status == 200
        client.send(client.request("POST", "/nothing", expect, body=GOOD)[: -len(GOOD)])
        assert (await client.answer()).status in (100, 404)


async def test_pipelined_answers_keep_their_order(gateway: Gateway) -> None:
    async with connected(gateway.address) as client:
        client.send(*[client.request(body=GOOD) + client.request("GET", "/healthz")] * 20)
        async with asyncio.timeout(LIMIT_S):
            for _ in range(20):
                assert b"word99" in (await client.answer()).body
                assert (await client.answer()).body == b'{"status":"ok"}'
