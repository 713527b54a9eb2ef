"""Signs of life from a thread of its own: a busy event loop delays none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headway.sharing.script import SlotScript
from headway.sharing.settings import QueueSettings

Heard = Callable[[float, bytes], None]
"""Called in the thread with when the sign was sent, and what Redis answered."""


class Heartbeat:
    """Renews the lease of a gateway.

    Args:
        settings: how often, and where.
        script: what to call.
        gateway: whose lease.
        heard: gets each answer.
        clock: seconds.
    """

    def __init__(
        self,
        settings: QueueSettings,
        script: SlotScript,
        gateway: str,
        heard: Heard,
        clock: Callable[[], float],
    ) -> None:
        self.token = 0
        """Of the lease; 0: there is none to renew."""
        self._settings = settings
        self._script = script
        self._gateway = gateway
        self._heard = heard
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin; `stop` must follow."""
        self._thread.start()

    def stop(self) -> None:
        """End soon, without waiting for it."""
        self._stopped.set()

    def _run(self) -> None:
        settings = self._settings
        client: Any = redis.Redis.from_url(
            settings.url,
            socket_timeout=settings.answer_s,
            socket_connect_timeout=settings.answer_s,
            retry=Retry(NoBackoff(), 0),
        )
        while not self._stopped.wait(settings.beat_s):
            if not (token := self.token):
                continue
            command = self._script.call("beat", self._gateway, token, settings.lease_s)
            sent_s = self._clock()
            try:
                answer = client.execute_command(*command)
            except (redis.RedisError, OSError):
                continue  # the event loop notices by itself that Redis is gone
            if not self._stopped.is_set():
                self._heard(sent_s, answer)
        client.close()
