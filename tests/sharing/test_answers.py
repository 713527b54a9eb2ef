"""Of all gateways one answers a request with a key, and none waits for one that does no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis as client
from tests.redis_server import RedisServer

from headway.sharing.answers import MOST_BYTES, Claim, Given, SharedAnswers
from headway.sharing.settings import QueueSettings

ASKED = b"what was asked"
HEADERS = [("Content-Type", "text/plain")]
KEEP_S = 600.0
SOON_S = 5.0
"""A few leases of `brief` gateways."""


class Gateways:
    """Three gateways, each with a claim on the same key."""

    def __init__(self, server: RedisServer, prefix: str, lease_s: float) -> None:
        settings = QueueSettings(server.url, lease_s=lease_s, prefix=prefix)
        self.redis: client.Redis = client.Redis.from_url(server.url)
        self.prefix = prefix
        self.answers = [SharedAnswers(settings) for _ in range(3)]

    def claims(self, asked: bytes = ASKED) -> list[Claim]:
        return [one.claim(("tenant", "key"), asked) for one in self.answers]

    def keys(self) -> list[bytes]:
        return [key for key in self.redis.scan_iter() if self.prefix.encode() in key]

    def kept(self) -> bool:
        return any(self.redis.hexists(key, "body") for key in self.keys())

    def lapse(self) -> None:
        """As if the holder had stopped for longer than its lease."""
        self.redis.delete(*self.keys())

    async def close(self) -> None:
        self.redis.close()
        for one in self.answers:
            await one.close()


@pytest.fixture
async def gateways(redis: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Gateways]:
    """Their claims are not renewed while a test runs."""
    gateways = Gateways(redis, request.node.name, lease_s=60.0)
    yield gateways
    await gateways.close()


@pytest.fixture
async def brief(redis: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Gateways]:
    """Their claims lapse soon."""
    gateways = Gateways(redis, request.node.name, lease_s=0.6)
    yield gateways
    await gateways.close()


@pytest.fixture
def no_writes(redis: RedisServer) -> Iterator[client.Redis]:
    """A Redis that can be told to refuse whatever writes, with `min-replicas-to-write`."""
    control: client.Redis = client.Redis.from_url(redis.url)
    yield control
    control.config_set("min-replicas-to-write", 0)
    control.close()


async def test_others_wait_for_the_answer_of_the_first(brief: Gateways) -> None:
    first, second, _ = brief.claims()
    async with first, second:
        assert await first.wait() is None
        waiting = asyncio.create_task(second.wait())
        await asyncio.sleep(2 * 0.6)  # for longer than a lease, which is renewed
        assert not waiting.done()
        assert await first.keep(b"one", HEADERS, KEEP_S) is None
        assert await waiting == Given(ASKED, b"one", HEADERS)


async def test_a_claim_that_is_given_up_is_the_next_ones_at_once(gateways: Gateways) -> None:
    first, second, _ = gateways.claims()
    async with first:
        assert await first.wait() is None
    async with second:
        assert await second.wait() is None


@pytest.mark.parametrize("body", [b"an answer", b"x" * (MOST_BYTES + 1)])
async def test_an_answer_that_cannot_be_kept_holds_up_nobody_and_is_kept_once_it_can_be(
    body: bytes, brief: Gateways, no_writes: client.Redis
) -> None:
    first, second, _ = brief.claims()
    expected = Given(ASKED, body, HEADERS) if len(body) <= MOST_BYTES else None
    async with first:
        assert await first.wait() is None
        no_writes.config_set("min-replicas-to-write", 1)
        assert await first.keep(body, HEADERS, KEEP_S) is None
    no_writes.config_set("min-replicas-to-write", 0)
    async with second, asyncio.timeout(SOON_S):
        while expected and not brief.kept():
            await asyncio.sleep(0.01)
        assert await second.wait() == expected


async def test_an_answer_and_its_end_are_written_as_one(gateways: Gateways) -> None:
    first, *_ = gateways.claims()
    async with first:
        await first.wait()
        await first.keep(b"one", HEADERS, KEEP_S)
    (key,) = gateways.keys()
    assert KEEP_S - 10.0 < gateways.redis.pttl(key) / 1000 <= KEEP_S


@pytest.mark.parametrize("order", ["late first", "late last"])
async def test_where_two_answer_the_first_answer_is_everyones(
    order: str, gateways: Gateways
) -> None:
    late, other, third = gateways.claims()
    async with late, other, third:
        assert await late.wait() is None
        gateways.lapse()
        assert await other.wait() is None
        faster, slower = (late, other) if order == "late first" else (other, late)
        assert await faster.keep(b"faster", HEADERS, KEEP_S) is None
        expected = Given(ASKED, b"faster", HEADERS)
        assert await slower.keep(b"slower", HEADERS, KEEP_S) == expected
        assert await third.wait() == expected


async def test_who_lost_a_claim_cannot_give_up_that_of_the_next(gateways: Gateways) -> None:
    late, other, third = gateways.claims()
    async with other, third:
        async with late:
            assert await late.wait() is None
            gateways.lapse()
            assert await other.wait() is None
        assert gateways.keys()
        waiting = asyncio.create_task(third.wait())
        assert await other.keep(b"one", HEADERS, KEEP_S) is None
        assert await waiting == Given(ASKED, b"one", HEADERS)


async def test_another_request_with_the_key_is_told_so_and_changes_nothing(
    gateways: Gateways,
) -> None:
    late, other, third = gateways.claims()
    _, _, reused = gateways.claims(b"something else")
    async with late, other, third, reused:
        await late.wait()
        assert await reused.wait() == Given(ASKED, None, [])
        gateways.lapse()
        assert await reused.wait() is None
        assert await late.keep(b"late", HEADERS, KEEP_S) == Given(b"something else", None, [])
        assert await reused.keep(b"its", HEADERS, KEEP_S) is None
        assert await third.wait() == Given(b"something else", b"its", HEADERS)
