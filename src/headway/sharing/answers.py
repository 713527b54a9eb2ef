"""Answers to requests with an `Idempotency-Key`, which any gateway gives again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Literal, NamedTuple, Self
from uuid import uuid4

import msgspec
import redis.asyncio as client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from headway.sharing.errors import sentence_of
from headway.sharing.late_answers import LateAnswers
from headway.sharing.settings import QueueSettings

logger = logging.getLogger(__name__)

MOST_BYTES = 2**20
"""A longer answer is given again only by the gateway that gave it."""
LOOK_EVERY_S = 0.25
"""While another gateway answers."""

Headers = Sequence[tuple[str, str]]
Event = Literal["claim", "keep", "give_up"]


class Given(NamedTuple):
    """An answer that a gateway has given, or will give."""

    asked: bytes
    """A hash of what was asked."""
    body: bytes | None
    headers: Headers


class SharedAnswers:
    """One answer for each key, over all gateways, while Redis answers; else over this one.

    Args:
        settings: where they are kept.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self.late = LateAnswers(settings.beat_s)
        self._redis: Any = client.Redis.from_url(
            settings.url,
            socket_timeout=settings.answer_s,
            socket_connect_timeout=settings.answer_s,
            retry=Retry(NoBackoff(), 1),
        )
        text = files("headway.sharing").joinpath("answers.lua").read_text(encoding="utf-8")
        self._script: Any = self._redis.register_script(text)

    def claim(self, name: Sequence[str], asked: bytes) -> Claim:
        """The right to answer a request, which its context manager gives up at the end.

        Args:
            name: who asks, and with which key.
            asked: a hash of the request.
        """
        hashed = blake2b(msgspec.msgpack.encode(tuple(name)), digest_size=16).hexdigest()
        return Claim(self, f"{{{self.settings.prefix}}}:answer:{hashed}", asked)

    async def call(self, key: str, *arguments: str | bytes | int) -> Given | None:
        """What another claim has set at `key`, if it is in the way.

        Raises:
            RedisError: Redis cannot do it.
            OSError: Redis cannot be reached.
        """
        found = await self._script(keys=[key], args=arguments)
        if found is None:
            return None
        asked, body, headers, _ = found
        return Given(asked, body, _headers(headers or b"[]"))

    async def close(self) -> None:
        """Hang up."""
        self.late.close()
        await self._redis.aclose()


class Claim:
    """The right to answer one request, of all gateways.

    It is a short lease that is renewed while this gateway works: one that dies, or cannot say that
    it has ended, holds up nobody. Where it lapses and two gateways answer, the first answer stays.

    Args:
        answers: of all gateways.
        key: the request's, in Redis.
        asked: a hash of it.
    """

    def __init__(self, answers: SharedAnswers, key: str, asked: bytes) -> None:
        self._answers = answers
        self._key = key
        self._asked = asked
        self._token = uuid4().hex
        self._held = False
        self._renewal: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        if self._held:
            await asyncio.shield(self._give_up())

    async def wait(self) -> Given | None:
        """The answer that a gateway has given, once it has; None: it is this one's to give.

        One to another request is there at once, also without its body.
        """
        self._held = True  # or it may be, until Redis has said what is in the way
        try:
            while given := await self._call("claim", self._answers.settings.lease_s):
                if given.body is not None or given.asked != self._asked:
                    self._held = False
                    return given
                await asyncio.sleep(LOOK_EVERY_S)
        except (RedisError, OSError) as error:  # without Redis, nothing is in the way
            self._warn(error)
        self._renewal = asyncio.create_task(self._renew(), name="claim of an idempotency key")
        return None

    async def keep(self, body: bytes, headers: Headers, keep_s: float) -> Given | None:
        """Give an answer, which all gateways give again for so long.

        Where Redis does not take it now, it is offered until it does.

        Returns:
            The one that counts instead, if another gateway was faster.
        """
        if len(body) > MOST_BYTES:
            return None
        said = body, msgspec.json.encode(headers)
        given: Given | None = None
        try:
            given = await self._call("keep", keep_s, *said)
        except (RedisError, OSError) as error:
            self._warn(error)
            keep = self._call
            self._answers.late.add(len(body), keep_s, lambda left_s: keep("keep", left_s, *said))
        self._held = False
        return given

    async def _renew(self) -> None:
        settings = self._answers.settings
        while True:
            await asyncio.sleep(settings.beat_s)
            with suppress(RedisError, OSError):  # `keep` says so
                await self._call("claim", settings.lease_s)

    async def _give_up(self) -> None:
        with suppress(RedisError, OSError):  # it lapses soon
            await self._call("give_up", 0.0)

    def _warn(self, error: Exception) -> None:
        logger.warning(
            "%s; an Idempotency-Key holds at this gateway alone until it can",
            sentence_of(error, self._answers.settings.url),
        )

    async def _call(self, event: Event, lasts_s: float, *said: bytes) -> Given | None:
        lasts_ms = round(lasts_s * 1000)
        return await self._answers.call(self._key, event, self._token, self._asked, lasts_ms, *said)


_headers = msgspec.json.Decoder(list[tuple[str, str]]).decode
