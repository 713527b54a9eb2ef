"""The clock of Redis steps back: moments that were written before are hours ahead then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis as client
from tests.redis_server import RedisServer

from headway.sharing.script import Event, SlotScript
from headway.sharing.wire import Answer, join_message, read_answer

LEASE_S = 3.0
NAMES = {"x": "x"}
HOURS_MS = 8 * 3_600_000


class Caller:
    """Calls the script for several gateways."""

    def __init__(self, redis: client.Redis) -> None:
        self.redis = redis
        self.script = SlotScript("clock")
        redis.execute_command(*self.script.load())
        self.alive, self.state = self.script.keys[2:4]

    def call(self, event: Event, gateway: str, token: int = 0, said: bytes = b"") -> Answer:
        command = self.script.call(event, gateway, token, LEASE_S, said)
        return read_answer(gateway, NAMES, self.redis.execute_command(*command))

    def join(self, gateway: str) -> Answer:
        return self.call("join", gateway, said=join_message(NAMES, {"x": 2}, {}, {}, []))


@pytest.fixture
def caller(redis: RedisServer) -> Iterator[Caller]:
    with client.Redis.from_url(redis.url) as database:
        database.flushdb()
        yield Caller(database)


def test_slots_are_granted_again_within_a_lease(caller: Caller) -> None:
    token = caller.join("a").token
    ahead = int(caller.redis.hget(caller.state, "settled")) + HOURS_MS  # type: ignore[arg-type]
    caller.redis.hset(caller.state, "settled", ahead)
    assert 0.0 < caller.call("beat", "a", token).pause_s <= LEASE_S


def test_a_gateway_that_died_before_is_lost_within_a_lease(caller: Caller) -> None:
    caller.join("dead")
    token = caller.join("a").token
    caller.redis.zincrby(caller.alive, HOURS_MS, "dead")
    caller.call("beat", "a", token)
    left_ms = caller.redis.zscore(caller.alive, "dead") - caller.redis.zscore(caller.alive, "a")
    assert left_ms <= LEASE_S * 1000.0
