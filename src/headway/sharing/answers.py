"""Answers to requests with an `Idempotency-Key`, which any gateway gives again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from hashlib import blake2b
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as client
from redis.exceptions import RedisError

from headway.sharing.errors import sentence_of
from headway.sharing.settings import QueueSettings

logger = logging.getLogger(__name__)

MOST_BYTES = 2**20
"""A longer answer is given again only by the gateway that gave it."""
RUNS_AT_MOST_S = 6 * 3600.0
LOOK_EVERY_S = 0.25
"""While another gateway answers."""

Headers = Sequence[tuple[str, str]]


class Given(NamedTuple):
    """An answer that a gateway has given."""

    asked: bytes
    """A hash of what was asked."""
    body: bytes
    headers: Headers


class SharedAnswers:
    """One answer for each key, over all gateways, while Redis answers; else over this one.

    Args:
        settings: where they are kept.
        gateway: the name of this one.
        alive: the key in Redis of the gateways that live.
    """

    def __init__(self, settings: QueueSettings, gateway: str, alive: str) -> None:
        self._settings = settings
        self._gateway = gateway
        self._alive = alive
        self._redis: Any = client.Redis.from_url(
            settings.url, socket_timeout=settings.answer_s, socket_connect_timeout=settings.answer_s
        )
        text = files("headway.sharing").joinpath("answers.lua").read_text(encoding="utf-8")
        self._claim: Any = self._redis.register_script(text)

    async def claim(self, name: Sequence[str], asked: bytes) -> Given | None:
        """The answer that a gateway has given, once it has; None: it is this one's to give.

        Args:
            name: who asks, and with which key.
            asked: a hash of the request.
        """
        keys = [self._key(name), self._alive]
        arguments = [self._gateway, asked, _ms(RUNS_AT_MOST_S)]
        try:
            while (found := await self._claim(keys=keys, args=arguments)) is not None:
                theirs, body, headers = found
                if body is not None or theirs != asked:
                    return Given(theirs, body or b"", _headers(headers or b"[]"))
                await asyncio.sleep(LOOK_EVERY_S)
        except (RedisError, OSError) as error:
            logger.warning(
                "%s; an Idempotency-Key holds at this gateway alone",
                sentence_of(error, self._settings.url),
            )
        return None

    async def keep(
        self, name: Sequence[str], asked: bytes, body: bytes, headers: Headers, keep_s: float
    ) -> None:
        """This gateway has given its answer, which others give again for so long."""
        if len(body) > MOST_BYTES:
            await self.give_up(name)
            return
        key = self._key(name)
        fields = ("asked", asked, "body", body, "headers", msgspec.json.encode(headers))
        if await self._write("HSET", key, "gateway", self._gateway, *fields):
            await self._write("PEXPIRE", key, _ms(keep_s))

    async def give_up(self, name: Sequence[str]) -> None:
        """It gives no answer that can be given again: the next one who is asked does."""
        await self._write("DEL", self._key(name))

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()

    async def _write(self, *command: str | bytes | int) -> bool:
        """Whether it was written."""
        try:
            await self._redis.execute_command(*command)
        except (RedisError, OSError) as error:
            logger.warning("%s; an answer is not kept", sentence_of(error, self._settings.url))
            return False
        return True

    def _key(self, name: Sequence[str]) -> str:
        hashed = blake2b(msgspec.msgpack.encode(tuple(name)), digest_size=16).hexdigest()
        return f"{{{self._settings.prefix}}}:answer:{hashed}"


_headers = msgspec.json.Decoder(list[tuple[str, str]]).decode


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
