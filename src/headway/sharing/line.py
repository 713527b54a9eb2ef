"""Connections to Redis: one that calls the script, one that hears of what others' calls decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from headway.sharing.errors import sentence_of
from headway.sharing.script import Event, SlotScript


class LineDown(Exception):
    """Redis does not answer; the message says why."""


class Line:
    """A connection that calls the script, one call at a time.

    Args:
        url: of Redis.
        script: what to call.
        limit_s: an answer that takes longer does not come.
    """

    def __init__(self, url: str, script: SlotScript, limit_s: float) -> None:
        self._url = url
        self._script = script
        self._limit_s = limit_s
        self._pool: Any = ConnectionPool.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=None, protocol=2
        )
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect, and make the script known. Raises LineDown."""
        await self.close()
        self._connection = self._pool.make_connection()
        try:
            async with asyncio.timeout(self._limit_s):
                await self._connection.connect()
                await self._ask(*self._script.load())
        except (RedisError, OSError) as error:
            await self.close()
            raise LineDown(sentence_of(error, self._url)) from None

    async def call(
        self, event: Event, gateway: str, token: int, lease_s: float, said: bytes = b""
    ) -> bytes:
        """What the script answers. Raises LineDown: whether it was called is not known."""
        command = self._script.call(event, gateway, token, lease_s, said)
        try:
            async with asyncio.timeout(self._limit_s):
                try:
                    answer: bytes = await self._ask(*command)
                except NoScriptError:
                    await self._ask(*self._script.load())
                    answer = await self._ask(*command)
                return answer
        except (RedisError, OSError) as error:
            await self.close()
            raise LineDown(sentence_of(error, self._url)) from None

    async def notices(self, gateway: str) -> AsyncIterator[bytes]:
        """Each message to that gateway, on this line, which calls nothing then. Raises LineDown.

        The first one is empty: from then on none is missed.
        """
        assert self._connection is not None
        try:
            await self._connection.send_command("SUBSCRIBE", self._script.channel(gateway))
            while True:
                message = await self._connection.read_response()
                yield message[2] if message[0] == b"message" else b""
        except (RedisError, OSError) as error:
            raise LineDown(sentence_of(error, self._url)) from None

    async def close(self) -> None:
        """Hang up at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _ask(self, *command: str | int | bytes) -> Any:
        if self._connection is None:
            raise LineDown("the line is not open")
        await self._connection.send_command(*command, check_health=False)
        return await self._connection.read_response()
