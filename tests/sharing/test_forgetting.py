"""A Redis that is set to forget keys after the start is noticed."""

from __future__ import annotations

import asyncio
import logging

import pytest
import redis as client
from tests.redis_server import RedisServer

from headway.sharing import forgetting
from headway.sharing.settings import QueueSettings


async def test_it_is_said_once_each_time_it_is_set(
    redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "LOOK_EVERY_S", 0.01)
    caplog.set_level(logging.INFO)

    async def said(lines: int) -> None:
        async with asyncio.timeout(5.0):
            while len(caplog.messages) < lines:
                await asyncio.sleep(0.01)

    control: client.Redis = client.Redis.from_url(redis.url)
    watching = asyncio.create_task(forgetting.watch(QueueSettings(redis.url)))
    try:
        for times in (1, 3):
            control.config_set("maxmemory-policy", "allkeys-lru")
            await said(times)
            control.config_set("maxmemory-policy", "noeviction")
            await said(times + 1)
    finally:
        control.config_set("maxmemory-policy", "noeviction")
        control.close()
        watching.cancel()
    forgets, again = "set its maxmemory-policy to noeviction: else a slot", "forgets no keys again"
    for message, expected in zip(caplog.messages, [forgets, again] * 2, strict=True):
        assert expected in message
