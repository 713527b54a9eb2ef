"""Whether Redis may forget keys: it is asked at the start, and may be set otherwise later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import redis.asyncio as client
from redis.exceptions import RedisError

from headway.redaction import masked
from headway.sharing.settings import QueueSettings

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0


def may_forget(memory: Mapping[str, Any]) -> bool:
    """Whether a Redis with this section `memory` of its INFO forgets keys once that is full."""
    return bool(memory.get("maxmemory_policy", "noeviction") != "noeviction")


def why_not(url: str) -> str:
    """Why a Redis that may forget keys will not do, in one sentence."""
    return (
        f"Redis at {masked(url)} may forget keys when its memory is full; set its "
        "maxmemory-policy to noeviction"
    )


async def watch(settings: QueueSettings) -> None:
    """Warn whenever Redis begins to forget keys: gateways might use a slot twice then."""
    server = client.Redis.from_url(
        settings.url, socket_timeout=settings.answer_s, socket_connect_timeout=settings.answer_s
    )
    forgot = False
    async with server:
        while True:
            with suppress(RedisError, OSError):  # it is away, and others say so
                forgets = may_forget(await server.info("memory"))
                if forgets != forgot:
                    forgot = forgets
                    if forgets:
                        logger.warning("%s: else a slot may be used twice", why_not(settings.url))
                    else:
                        logger.info("Redis at %s forgets no keys again", masked(settings.url))
            await asyncio.sleep(LOOK_EVERY_S)
