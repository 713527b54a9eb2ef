"""One backend of the pool: its health, its capacity, and the client to reach it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from headway.engines.activity import Activity
from headway.engines.backend_status import STARTING, UNASKED, BackendStatus
from headway.engines.breaker import CircuitBreaker
from headway.engines.capacity import Capacity
from headway.engines.changes import Changes
from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.engine import (
    BackendGone,
    BackendSilent,
    Description,
    Engine,
    EngineError,
)
from headway.engines.former_clients import FormerClients
from headway.engines.overload import Overload
from headway.engines.patience import Patience
from headway.engines.pause import pause
from headway.engines.probe import connect
from headway.engines.trials import Trials

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 2.0
DESCRIBE_EVERY_S = 30.0
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 5.0
MISSES_ALLOWED = 2
"""Checks in a row that a busy backend may leave unanswered before it counts as down."""
FLOWING_S = 10.0
"""A backend that sent data within this time is up, even if its checks fail."""
_OVERLOADED = frozenset((429, 503, 529))


class Member:
    """Watches one backend, and reports each change of its status."""

    def __init__(
        self, source: Endpoint | EmbeddedServer, on_change: Callable[[BackendStatus], None]
    ) -> None:
        self.name = source.name
        self.engine: Engine | None = None
        """The client of the backend; None while it is down."""
        self.tried = asyncio.Event()
        """Set after the first check."""
        self._source = source
        self._on_change = on_change
        self.activity = Activity()
        """Traffic over `engine`."""
        self.patience = _patience(source)
        self._changes = Changes(source.name)
        self._breaker = CircuitBreaker()
        self._overload = Overload()
        self._capacity = Capacity()
        self._trials = Trials()
        self._description: Description | None = None
        self._error: str | None = UNASKED if isinstance(source, Endpoint) else STARTING
        self._described_s = 0.0
        self._misses = 0
        self._retry_s = FIRST_RETRY_S
        self._nudge = asyncio.Event()
        self._former = FormerClients()
        self._leaving = False
        self._held = False
        self._outdated = False
        """Whether `engine` is the client of a server that has since been configured otherwise."""
        self.status = self._current()
        if isinstance(source, EmbeddedServer):
            source.on_change = self._embedded_changed

    def use(self, endpoint: Endpoint) -> None:
        """It is configured like this from now on; what it runs goes on as it began.

        Another address, key or choice of models is used once it was probed.
        """
        before, self._source = self._source, endpoint
        assert isinstance(before, Endpoint)
        self._leaving = False
        if endpoint.timeouts_s != before.timeouts_s:
            self.patience = _patience(endpoint)
        if endpoint.url != before.url:  # what was measured is of another server
            self._capacity = Capacity()
        if endpoint.access != before.access:
            self._outdated = True
            self._retry_s = FIRST_RETRY_S
            self._nudge.set()
        elif self._description is not None and self.engine is not None:
            self._use(self._description)
        self._refresh()

    def leave(self) -> None:
        """It was taken out of the configuration: it finishes what it runs."""
        self._leaving = True
        self._refresh()

    def hold(self, held: bool) -> None:
        """An operator keeps new requests from it, or no longer does; what it runs goes on."""
        self._held = held
        self._refresh()

    async def watch(self) -> None:
        """Keep the status up to date until cancelled."""
        while True:
            self._nudge.clear()
            pause_s = await self._look()
            self.tried.set()
            now_s = time.monotonic()
            trial_at_s = self._breaker.trial_at_s
            if trial_at_s is not None and self.engine is not None:
                pause_s = min(pause_s, max(0.0, trial_at_s - now_s))
            if self._overload.until_s > now_s:
                pause_s = min(pause_s, self._overload.until_s - now_s)
            try:
                async with asyncio.timeout(pause_s):
                    await self._nudge.wait()
            except TimeoutError:
                self._refresh()

    def succeeded(self, request: str, tpot_s: float | None, in_flight: int) -> None:
        """A request succeeded on this backend."""
        self._breaker.heard(self.activity.heard_s)
        self._breaker.succeeded(request, time.monotonic())
        self._overload.succeeded()
        self._capacity.answered(tpot_s, in_flight)
        # llama.cpp's own timings are more exact; its client uses those.
        if tpot_s is not None and self._engine_kind != "llama.cpp":
            self._capacity.cost.decoded(1, tpot_s)
            known = self._description
            if known is not None and self._capacity.drifted(known.cost):
                self._description = self._capacity.costed(known)
                self._refresh()
        if self._slots != self.status.slots:
            self._refresh()

    def failed(self, request: str, error: BackendGone | EngineError) -> None:
        """A request failed on this backend."""
        now_s = time.monotonic()
        before = self._breaker.is_open, self._overload.until_s
        if isinstance(error, BackendSilent):
            self._breaker.trip(now_s)
        elif isinstance(error, BackendGone):
            self._breaker.failed(request, now_s)
            self._misses = MISSES_ALLOWED
        else:
            if error.status in _OVERLOADED:
                self._capacity.overloaded()
            if error.status == 429 or error.retry_after_s is not None:
                self._overload.reported(error.retry_after_s, now_s)
            elif error.transient or error.status in (401, 403):
                self._breaker.failed(request, now_s)
        if isinstance(error, BackendGone) or before != (
            self._breaker.is_open,
            self._overload.until_s,
        ):
            self._nudge.set()
        self._refresh()

    def left(self) -> None:
        """A request on this backend ended without a complete answer."""
        if self._breaker.is_open:
            self._breaker.heard(self.activity.heard_s)
            self._refresh()

    def forgive(self, request: str) -> None:
        """The failures of this request were its own fault, not the backend's."""
        self._breaker.forgive(request, time.monotonic())
        self._refresh()

    async def close(self) -> None:
        """Close its connections."""
        self._drop_engine()
        await self._former.close()

    async def _look(self) -> float:
        """Check the backend; returns the seconds to wait before the next check."""
        self._former.close_idle()
        endpoint = self._endpoint()
        if endpoint is None:
            self._down(self._embedded_error())
            return MAX_RETRY_S  # `_embedded_changed` ends the wait earlier
        now_s = time.monotonic()
        self._breaker.heard(self.activity.heard_s)
        trial_at_s = self._breaker.trial_at_s
        try:
            if self.engine is None or self._outdated:
                await self._connect(endpoint)
            elif trial_at_s is not None and trial_at_s <= now_s:
                await self._try(self.engine)
            elif now_s < self._overload.until_s:
                pass  # it refused requests as overloaded, so it is up
            elif self.activity.silence_s(now_s) > self.patience.suspect_s():
                await self._suspect(self.engine)
            elif now_s - self._described_s > DESCRIBE_EVERY_S:
                await self._describe(self.engine)
            else:
                await self.engine.check()
        except EngineError as error:  # overloaded, but up
            if self.engine is None or self._outdated:
                self._down(str(error))
                return self._next_retry_s()
        except BackendGone as error:
            if self.engine is not None and not error.refused and not self._outdated:
                if time.monotonic() - self.activity.heard_s < FLOWING_S:
                    return CHECK_EVERY_S
                if self._misses < MISSES_ALLOWED:
                    self._misses += 1
                    return FIRST_RETRY_S
            self._down(str(error))
            return self._next_retry_s()
        except Exception as error:  # an unexpected answer must not end the watch
            logger.exception("backend %s gave an unexpected answer", self.name)
            self._down(f"{self.name} gave an unexpected answer ({error}); please report this")
            return self._next_retry_s()
        self._misses = 0
        self._retry_s = FIRST_RETRY_S
        self._refresh()
        return CHECK_EVERY_S

    async def _try(self, engine: Engine) -> None:
        """Send a trial while the breaker is open. Raises BackendGone if nothing listens there."""
        began_s = time.monotonic()
        error = await self._trial(engine)
        self._breaker.heard(self.activity.heard_s)
        self._breaker.tried(error is None, time.monotonic(), began_s=began_s)
        if not self._breaker.is_open and self._engine_kind != "llama.cpp":
            # Times measured while it failed would keep requests away: measure again.
            assert self._description is not None
            self._capacity.cost.forget()
            self._use(self._description)
        if error is not None:
            logger.warning("backend %s failed a trial: %s", self.name, error)
            if isinstance(error, BackendGone) and error.refused:
                raise error

    async def _suspect(self, engine: Engine) -> None:
        """Send a trial because the backend has been silent for long."""
        silent_since_s = self.activity.heard_s
        error = await self._trial(engine)
        now_s = time.monotonic()
        if error is None or isinstance(error, EngineError):
            self.activity.heard(now_s)
        elif self.activity.heard_s == silent_since_s:
            self._breaker.trip(now_s)
            logger.warning("backend %s is silent and failed a trial: %s", self.name, error)

    async def _trial(self, engine: Engine) -> BackendGone | EngineError | None:
        """Requests a few tokens; returns the error, or None."""
        assert self._description is not None  # it was up
        return await self._trials.outcome(engine, self._description.models[0])

    def _next_retry_s(self) -> float:
        pause_s = self._retry_s
        self._retry_s = min(2.0 * pause_s, MAX_RETRY_S)
        return pause_s

    async def _connect(self, endpoint: Endpoint) -> None:
        engine = await connect(endpoint, self._capacity.cost)
        try:
            description = await engine.describe()
        except BaseException:
            await engine.close()
            raise
        if self._endpoint() != endpoint:
            await engine.close()
            if isinstance(self._source, EmbeddedServer):  # it died meanwhile
                raise BackendGone(self._embedded_error())
            return  # it was configured anew: the next look, which is due, goes by that
        self._drop_engine()
        self.engine, self._outdated = engine, False
        self.activity = Activity()
        self._breaker.reset()  # it may have restarted: earlier failures say nothing
        self._overload = Overload()
        self._use(description)

    async def _describe(self, engine: Engine) -> None:
        description = await engine.describe()
        if self.engine is engine:
            self._use(description)

    def _use(self, description: Description) -> None:
        self._described_s = time.monotonic()
        self._capacity.use(self._given_slots or description.slots)
        self._description = self._capacity.costed(description)
        self._error = None
        self._refresh()

    def _down(self, error: str) -> None:
        self._drop_engine()
        self._error = error
        self._refresh()

    def _drop_engine(self) -> None:
        """Stop using the client for new requests; those in flight may finish."""
        engine, self.engine = self.engine, None
        self._trials.close()
        if engine is not None:
            self._former.add(engine, self.activity)

    def _endpoint(self) -> Endpoint | None:
        if isinstance(self._source, EmbeddedServer):
            return self._source.endpoint
        return self._source

    def _embedded_error(self) -> str:
        error = self._source.error if isinstance(self._source, EmbeddedServer) else None
        return error or STARTING

    def _embedded_changed(self) -> None:
        if self._endpoint() is None:
            self._down(self._embedded_error())
        self._nudge.set()

    def _refresh(self) -> None:
        status = self._current()
        now_s = time.monotonic()
        self._changes.look(status, *pause(status, self._breaker, self._overload, now_s), now_s)
        if status == self.status:
            return
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
            slots=self._slots,
            error=None if healthy else self._error,
            named_models=tuple(self._source.models) if isinstance(self._source, Endpoint) else (),
            own=isinstance(self._source, EmbeddedServer),
            leaving=self._leaving,
            held=self._held,
        )

    @property
    def _slots(self) -> int:
        """Number of requests that it may run at once now."""
        if self.engine is None or self._leaving or self._held:
            return 0
        if self._breaker.is_silent:
            # It may be busy with its running requests: they go on, and no waiting one starts.
            return min(self.activity.in_flight, self._capacity.slots)
        if self._breaker.is_open or time.monotonic() < self._overload.until_s:
            return 0
        return self._capacity.slots

    @property
    def _given_slots(self) -> int | None:
        return self._source.max_concurrency if isinstance(self._source, Endpoint) else None

    @property
    def _engine_kind(self) -> str:
        return self._description.engine if self._description is not None else ""


def _patience(source: Endpoint | EmbeddedServer) -> Patience:
    return Patience(*source.timeouts_s) if isinstance(source, Endpoint) else Patience(None, None)
