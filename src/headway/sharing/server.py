"""Whether a Redis will do, before anything depends on it."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

from headway.redaction import masked
from headway.sharing.errors import QueueError, needs_redis, sentence_of
from headway.sharing.settings import PREFIX

LEAST_VERSION = (6, 0)
_ANSWERS_WITHIN_S = 5.0


def check_server(url: str) -> str:
    """Which Redis this is, in words.

    Raises:
        QueueError: it does not answer, refuses the password, is too old, or cannot be written.
    """
    try:
        import redis

        from headway.sharing.forgetting import may_forget, why_not
    except ModuleNotFoundError:
        raise needs_redis() from None
    try:
        client = redis.Redis.from_url(
            url, socket_timeout=_ANSWERS_WITHIN_S, socket_connect_timeout=_ANSWERS_WITHIN_S
        )
    except ValueError as error:
        raise QueueError(f"queue is not the URL of a Redis: {masked(str(error))}") from None
    try:
        with client:
            server: dict[str, Any] = client.info("server")
            version = str(server.get("redis_version", "0"))
            numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
            if numbers < LEAST_VERSION:
                least = ".".join(map(str, LEAST_VERSION))
                raise QueueError(
                    f"Redis at {masked(url)} is {version}; gateways need {least} or later"
                )
            if may_forget(client.info("memory")):
                raise QueueError(why_not(url))
            client.set(f"{{{PREFIX}}}:checked:{urlsplit(url).path}", "", ex=1)
    except (redis.RedisError, OSError) as error:
        raise QueueError(sentence_of(error, url)) from None
    return f"Redis {version} at {masked(url)}"


def clock_ahead_s(url: str) -> float:
    """Seconds to add to this machine's monotonic clock to get the time of Redis.

    Raises:
        QueueError: it does not answer.
    """
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=_ANSWERS_WITHIN_S) as client:
            client.ping()  # a connection is made first
            asked_s = time.monotonic()
            seconds, microseconds = client.time()
            between_s = (asked_s + time.monotonic()) / 2.0
            return float(seconds) + float(microseconds) / 1e6 - between_s
    except (redis.RedisError, OSError) as error:
        raise QueueError(sentence_of(error, url)) from None
