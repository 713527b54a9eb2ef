"""Messages of a Redis stream start runs: each once, acknowledged once its run is in the journal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.extras import install_extra
from headway.workflows.triggers.event import Around, CannotWatch, Event, Fire

logger = logging.getLogger(__name__)

BLOCK_MS = 1000
ABANDONED_MS = 30_000
"""A message that a reader took and did not acknowledge goes to another one."""
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class RedisStream:
    """Starts a run for each message of a stream; the message's fields are inputs.

    Args:
        url: such as redis://127.0.0.1:6379/0.
        stream: its name.
        group: the consumer group that the workers share.
        input: of each run.
    """

    url: str
    stream: str
    group: str = "headway"
    input: Mapping[str, Any] = field(default_factory=dict)

    @property
    def watches(self) -> str:
        """What it looks at."""
        return self.stream

    async def watch(self, around: Around, fire: Fire) -> None:
        """Fire an event for each message, those that wait since before included."""
        try:
            import redis.asyncio as client
            from redis.exceptions import RedisError
        except ModuleNotFoundError:
            raise CannotWatch(f"RedisStream needs `{install_extra('redis')}`") from None

        # Bytes that are no UTF-8 come as Python has them in names of files.
        try:
            redis = client.from_url(
                self.url, decode_responses=True, encoding_errors="surrogateescape"
            )
        except ValueError as error:
            raise CannotWatch(str(error)) from None
        try:
            while True:
                try:
                    await self._read(redis, around.name, fire)
                except RedisError as error:
                    logger.warning("redis stream %s: %s; tried again", self.stream, error)
                    await asyncio.sleep(RETRY_S)
        finally:
            await redis.aclose()

    async def _read(self, redis: Any, name: str, fire: Fire) -> None:
        from redis.exceptions import ResponseError

        try:
            await redis.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        while True:
            _, abandoned, *_ = await redis.xautoclaim(
                self.stream, self.group, name, min_idle_time=ABANDONED_MS, start_id="0-0"
            )
            found = await redis.xreadgroup(
                self.group, name, {self.stream: ">"}, count=100, block=BLOCK_MS
            )
            for id_, fields in [*abandoned, *(one for _, batch in found or [] for one in batch)]:
                await fire(Event(f"{self.stream} {id_}", fields or {}))
                await redis.xack(self.stream, self.group, id_)
