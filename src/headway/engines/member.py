"""One backend of the pool: its health, its capacity, and the client to reach it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from headway.engines.breaker import BreakerState, CircuitBreaker
from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone, Description, Engine, EngineError
from headway.engines.limiter import ConcurrencyLimit
from headway.engines.measured_cost import MeasuredCost
from headway.engines.probe import connect

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 2.0
DESCRIBE_EVERY_S = 30.0
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 10.0
MISSES_ALLOWED = 2
"""Checks in a row that a busy backend may leave unanswered before it counts as down."""


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """What is known of one backend now; a new object for every change."""

    name: str
    url: str
    """Empty while an embedded engine is down."""
    description: Description | None
    """The last one; kept while it is down, None before it first answered."""
    healthy: bool
    slots: int
    """Requests it may run at once now: 0 while it is down or its breaker is open."""
    error: str | None
    """One sentence, where it is not healthy."""


class Member:
    """Watches one backend, and tells of each change of its status."""

    def __init__(
        self, source: Endpoint | EmbeddedServer, on_change: Callable[[BackendStatus], None]
    ) -> None:
        self.name = source.name
        self.engine: Engine | None = None
        """Its client; None while it is down."""
        self.tried = asyncio.Event()
        """Set once it was found up or down."""
        self._source = source
        self._on_change = on_change
        self._breaker = CircuitBreaker()
        self._limit = ConcurrencyLimit()
        self._cost = MeasuredCost()
        self._description: Description | None = None
        self._error: str | None = "it was not asked yet"
        self._described_s = 0.0
        self._misses = 0
        self._retry_s = FIRST_RETRY_S
        self._nudge = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self.status = self._current()
        if isinstance(source, EmbeddedServer):
            source.on_change = self._embedded_changed

    async def watch(self) -> None:
        """Keep its status true, until cancelled."""
        while True:
            self._nudge.clear()
            pause_s = await self._look()
            self.tried.set()
            until_s = self._breaker.open_until_s
            if until_s is not None and until_s > (now_s := time.monotonic()):
                pause_s = min(pause_s, until_s - now_s + 0.001)
            try:
                async with asyncio.timeout(pause_s):
                    await self._nudge.wait()
            except TimeoutError:
                self._refresh()

    def succeeded(self, tpot_s: float | None, in_flight: int) -> None:
        """A request ended well there."""
        self._breaker.succeeded(time.monotonic())
        if tpot_s is not None:
            self._limit.observe(tpot_s, in_flight)
            if self._description is not None and self._description.engine != "llama.cpp":
                self._cost.decoded(1, tpot_s)  # llama.cpp tells its own, more exact timings
        self._refresh()

    def failed(self, error: Exception) -> None:
        """A request failed there."""
        if isinstance(error, EngineError) and error.status in (429, 503):
            self._limit.overloaded()
        if not isinstance(error, EngineError) or error.status >= 500:
            self._breaker.failed(time.monotonic())
        if isinstance(error, BackendGone):
            self._misses = MISSES_ALLOWED
            self._nudge.set()
        self._refresh()

    async def close(self) -> None:
        """Close its connections."""
        self._drop_engine()
        await asyncio.gather(*self._closing)

    async def _look(self) -> float:
        """Find out how it is; returns how long to wait before the next look, in seconds."""
        endpoint = self._endpoint()
        if endpoint is None:
            self._down(self._embedded_error())
            return MAX_RETRY_S  # it nudges when it comes up
        try:
            if self.engine is None:
                await self._connect(endpoint)
            elif time.monotonic() - self._described_s > DESCRIBE_EVERY_S:
                await self._describe(self.engine)
            else:
                await self.engine.check()
        except (BackendGone, EngineError) as error:
            if self.engine is not None and self._misses < MISSES_ALLOWED:
                self._misses += 1
                return FIRST_RETRY_S
            self._down(str(error))
            return self._next_retry_s()
        except Exception as error:  # an answer nobody foresaw must not end the watch
            logger.exception("backend %s cannot be understood", self.name)
            self._down(f"{self.name} cannot be understood ({error}); please report this")
            return self._next_retry_s()
        self._misses = 0
        self._retry_s = FIRST_RETRY_S
        return CHECK_EVERY_S

    def _next_retry_s(self) -> float:
        pause_s = self._retry_s
        self._retry_s = min(2.0 * pause_s, MAX_RETRY_S)
        return pause_s

    async def _connect(self, endpoint: Endpoint) -> None:
        engine = await connect(endpoint, self._cost)
        try:
            description = await engine.describe()
        except BaseException:
            await engine.close()
            raise
        if self._endpoint() != endpoint:  # the embedded engine died meanwhile
            await engine.close()
            raise BackendGone(self._embedded_error())
        self.engine = engine
        self._breaker.reset()  # whatever failed before, this is another life
        self._told(description)

    async def _describe(self, engine: Engine) -> None:
        description = await engine.describe()
        if self.engine is engine:
            self._told(description)

    def _told(self, description: Description) -> None:
        self._described_s = time.monotonic()
        cost = replace(
            self._cost.model,
            recompute_share=description.cost.recompute_share,
            # Engines compute a prompt in iterations that all their slots share; of what a hosted
            # API does, nothing is known.
            held_slots=1.0 if description.engine == "openai" else self._slots(description),
        )
        self._description = replace(description, cost=cost)
        self._error = None
        self._refresh()

    def _down(self, error: str) -> None:
        self._drop_engine()
        self._error = error
        self._refresh()

    def _drop_engine(self) -> None:
        """Close the client: whoever still reads from it gets BackendGone."""
        engine, self.engine = self.engine, None
        if engine is not None:
            task = asyncio.get_running_loop().create_task(engine.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _endpoint(self) -> Endpoint | None:
        if isinstance(self._source, EmbeddedServer):
            return self._source.endpoint
        return self._source

    def _embedded_error(self) -> str:
        told = self._source.error if isinstance(self._source, EmbeddedServer) else None
        return told or "the embedded engine is starting"

    def _embedded_changed(self) -> None:
        if self._endpoint() is None:
            self._down(self._embedded_error())
        self._nudge.set()

    def _refresh(self) -> None:
        status = self._current()
        if status == self.status:
            return
        if status.healthy != self.status.healthy:
            if status.healthy:
                logger.info("backend %s is up at %s", self.name, status.url)
            else:
                logger.warning("backend %s is down: %s", self.name, status.error)
        self.status = status
        self._on_change(status)

    def _current(self) -> BackendStatus:
        endpoint = self._endpoint()
        healthy = self.engine is not None
        return BackendStatus(
            name=self.name,
            url=endpoint.url if endpoint is not None else "",
            description=self._description,
            healthy=healthy,
            slots=self._capacity() if healthy else 0,
            error=None if healthy else self._error,
        )

    def _capacity(self) -> int:
        state = self._breaker.state(time.monotonic())
        if state is not BreakerState.CLOSED:
            return 0 if state is BreakerState.OPEN else 1
        return self._slots(self._description)

    def _slots(self, description: Description | None) -> int:
        given = self._source.max_concurrency if isinstance(self._source, Endpoint) else None
        told = description.slots if description is not None else None
        return given or told or self._limit.limit
