"""Whether a Redis will do is said at the start, in one sentence."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
import redis as client
from tests.redis_server import RedisServer, free_port, redis_server

from headway.sharing.errors import QueueError
from headway.sharing.server import check_server, clock_ahead_s


def test_one_that_will_do(redis: RedisServer) -> None:
    assert check_server(redis.url).endswith(f"at {redis.url}")
    assert abs(clock_ahead_s(redis.url) - clock_ahead_s(redis.url)) < 0.1


def test_nobody_answers() -> None:
    with pytest.raises(QueueError, match=r"redis://127\.0\.0\.1:\d+/0 cannot be used: .*refused"):
        check_server(f"redis://127.0.0.1:{free_port()}/0")


def test_a_wrong_or_missing_password_is_named_and_not_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "right") as server:
        place = server.url.removeprefix("redis://")
        assert check_server(f"redis://:right@{place}")
        for url in (f"redis://:wrong@{place}", server.url):
            with pytest.raises(QueueError, match="refuses the user or password") as caught:
                check_server(url)
            assert "wrong" not in str(caught.value).replace("wrong number", "")


def test_one_that_is_too_old(redis: RedisServer) -> None:
    with (
        patch.object(client.Redis, "info", lambda *_: {"redis_version": "5.0.14"}),
        pytest.raises(QueueError, match=r"is 5\.0\.14; gateways need 6\.0 or later"),
    ):
        check_server(redis.url)


def test_one_that_may_forget_keys(tmp_path: Path) -> None:
    with (
        redis_server(tmp_path, "--maxmemory-policy", "allkeys-lru") as server,
        pytest.raises(QueueError, match="maxmemory-policy to noeviction"),
    ):
        check_server(server.url)


def test_a_replica_is_no_place_to_write(tmp_path: Path, redis: RedisServer) -> None:
    with (
        redis_server(tmp_path, "--replicaof", f"127.0.0.1 {redis.port}") as server,
        pytest.raises(QueueError, match="is a replica"),
    ):
        check_server(server.url)
