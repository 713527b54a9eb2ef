"""The driver of the scheduler: carries out its decisions, and reports what happened to it.

Each request runs in the task that serves its client. That task hands the request in (`submit`),
waits for its `turn`, reads from the engine, and gives the slot back (`release`). The scheduler
is stepped wherever something changed, and by a timer while something waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import cast

from headway.core.backend import Backend
from headway.core.decision import Preempt, Start
from headway.core.request import State
from headway.core.scheduler import Scheduler
from headway.engines.backend_status import BackendStatus
from headway.engines.engine import BackendGone, BackendSilent, Delta, Engine, EngineError
from headway.engines.pool import BackendPool
from headway.gateway.errors import (
    ApiError,
    from_engine,
    from_reject,
    gave_up,
    no_backend,
    shutting_down,
)
from headway.gateway.foresight import Foresight
from headway.gateway.rotation import Rotation
from headway.gateway.settings import GatewaySettings
from headway.gateway.silence import LOOK_EVERY_S, Silence
from headway.gateway.work import Interrupted, Work

logger = logging.getLogger(__name__)

TICK_S = 0.05
"""How often preemption is reconsidered while something waits and something runs."""


class Dispatcher:
    """Who runs where, now. One per process; everything happens in its event loop."""

    def __init__(
        self,
        scheduler: Scheduler,
        settings: GatewaySettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scheduler = scheduler
        self.clock = clock
        self.works: dict[str, Work] = {}
        """Every live request by id."""
        self.running: dict[str, int] = {}
        """Requests that run now, by backend."""
        self.statuses: dict[str, BackendStatus] = {}
        self._settings = settings
        self._pool: BackendPool | None = None
        self._silence: Silence | None = None
        self._foresight: Foresight | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0
        self._drained: asyncio.Future[None] | None = None
        self._draining = False
        self._rotation = Rotation()

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    def use(self, pool: BackendPool, foresight: Foresight | None = None) -> None:
        """Run on the backends of `pool`, which reports its changes to `backend_changed`.

        `foresight` gets every request that must wait, or must wait again.
        """
        self._pool = pool
        self._silence = Silence(pool)
        self._foresight = foresight
        for status in pool.statuses.values():
            self._rotation.changed(status, self.clock())

    def backend_changed(self, status: BackendStatus) -> None:
        """A backend came, went, or can take more or less than before."""
        now_s = self.clock()
        self.statuses[status.name] = status
        self.running.setdefault(status.name, 0)
        self._rotation.changed(status, now_s)
        description = status.description
        if description is None:
            return
        if not self.scheduler.backends:
            self.scheduler.calibrate(description.cost, now_s)
        lanes = set(description.models)
        if description.exact_resume:
            lanes.update(f"{model}#{description.vocabulary}" for model in description.models)
        self.scheduler.set_backend(
            Backend(
                name=status.name,
                slots=status.slots if status.healthy else 0,
                lanes=frozenset(lanes),
                cost=description.cost,
            ),
            now_s,
        )
        moved: list[Work] = []
        if not status.healthy:
            # What can be continued exactly moves at once; the rest may still be answered.
            for work in list(self.works.values()):
                if work.backend == status.name and work.generation is not None:
                    self._leave(work, now_s)
                    self.scheduler.requeue(work.request.id, now_s)
                    work.failovers += 1
                    work.interrupt()
                    moved.append(work)
        self._step(now_s, moved)

    def submit(self, work: Work) -> None:
        """Hand in `work`; afterwards it waits or runs, and `release` must follow.

        Raises:
            ApiError: when it is turned away: full queue, hopeless deadline, shutdown.
        """
        if self._draining:
            raise shutting_down()
        now_s = self.clock()
        reject = self.scheduler.add(work.request, now_s)
        if reject is not None:
            raise from_reject(reject)
        self.works[work.request.id] = work
        self._step(now_s, [work])

    async def turn(self, work: Work) -> Engine:
        """Wait until `work` may run; returns the client of the backend it runs on.

        Raises:
            ApiError: it will never run: deadline missed, no backend, shutdown.
            BackendGone: the backend it was given went away at this moment.
        """
        work.stopped = None
        if not work.backend:
            await work.waited()
        if work.failure is not None:
            raise work.failure
        assert self._pool is not None
        engine = self._pool.engine(work.backend)
        work.asks(self._pool.activity(work.backend), self.clock())
        return engine

    async def generate(self, work: Work) -> AsyncGenerator[Delta, None]:
        """The output of `work`, whole, over preemptions and failing backends.

        Raises:
            ApiError: it will not get another turn, or failed too often.
            EngineError: the engine refuses it.
        """
        generation = work.generation
        assert generation is not None
        while True:
            try:
                engine = await self.turn(work)
                stream = cast(AsyncGenerator[Delta, None], engine.generate(generation))
                async with aclosing(stream) as deltas:
                    while (delta := await work.read(anext(deltas, None))) is not None:
                        self.progress(work, generation.output_tokens - work.request.output_tokens)
                        if work.prompt_tokens is None and delta.prompt_tokens is not None:
                            work.prompt_tokens = delta.prompt_tokens
                            work.cached_tokens = delta.cached_tokens
                        yield delta
                return
            except Interrupted:
                continue
            except (BackendGone, EngineError) as error:
                await self.failed(work, error)

    def progress(self, work: Work, tokens: int) -> None:
        """The engine delivered a part of the answer, with `tokens` more."""
        now_s = self.clock()
        work.hears(now_s)
        if tokens <= 0 or not work.backend:
            return
        if work.retries.runs:
            work.retries.progressed()
        request = work.request
        if request.output_tokens == 0 and work.generation is not None:
            # From here on only an engine with the same vocabulary can go on.
            description = self.statuses[work.served_by].description
            if description is not None:
                lane = f"{work.origin.model}#{description.vocabulary}"
                self.scheduler.pin(request.id, lane, now_s)
        self.scheduler.progress(request.id, request.output_tokens + tokens, now_s)
        if request.output_tokens >= work.look_at and self._foresight is not None:
            self._foresight.progressed(work)

    async def failed(self, work: Work, error: BackendGone | EngineError) -> None:
        """A run failed before anything of it that cannot be continued reached the client.

        Returns once `work` waits for another run.

        Raises:
            ApiError: no other run will help: the error is the request's fault, there is nobody
                else to ask, or it failed too often.
        """
        if work.interrupted:
            return  # it lost that backend already
        answer = error if isinstance(error, EngineError) else None
        if answer is not None and not (answer.passing or answer.of_this_backend):
            raise from_engine(answer.status, answer.body, answer.headers) from None
        backend, request = work.served_by, work.request
        assert self._pool is not None
        self._pool.failed(backend, request.id, error)
        silent = isinstance(error, BackendSilent)
        pause_s = work.retries.failed(
            backend,
            [
                other.name
                for other in self.scheduler.backends.values()
                if request.lane in other.lanes
                # A backend that hangs is not tried again: rather wait for another one.
                and (other.slots or (silent and self.statuses[other.name].healthy))
            ],
            most_runs=self._settings.attempts,
            here_again=not silent and (answer is None or not answer.of_this_backend),
            retry_after_s=answer.retry_after_s if answer is not None else None,
            jitter=random.random(),
        )
        if pause_s is None:
            _log_failure(work, error, "it is given up")
            if len(work.retries.failed_on) > 1:
                self._pool.forgive(request.id)
            raise gave_up(work.retries.runs, error)
        if work.interrupted:
            return  # the pool found the backend down, and it waits for another already
        now_s = self.clock()
        self._leave(work, now_s)
        work.backend = ""
        work.failovers += 1
        if not pause_s:
            _log_failure(work, error, "it is tried elsewhere")
            self.scheduler.requeue(request.id, now_s, work.retries.avoid)
            self._step(now_s, [work])
            return
        _log_failure(work, error, f"it is tried again in {pause_s:.1f} s")
        work.request = self.scheduler.hand_over(request.id, now_s)
        work.request.avoid = work.retries.avoid
        self._step(now_s)
        if isinstance(work.stopped, BackendGone):
            work.stopped = None
        await work.read(self._rotation.pause(backend, pause_s))
        now_s = self.clock()
        reject = self.scheduler.add(work.request, now_s)
        if reject is not None:
            raise from_reject(reject)
        self._step(now_s, [work])

    def lost(self, work: Work, error: BackendGone | EngineError) -> None:
        """Its backend broke in the middle of an answer that cannot be continued."""
        _log_failure(work, error, "its answer ends here")
        assert self._pool is not None
        self._pool.failed(work.served_by, work.request.id, error)

    def release(self, work: Work, *, finished: bool) -> None:
        """Give back the slot or the place in the queue; the second call does nothing."""
        if self.works.pop(work.request.id, None) is None:
            return
        now_s = work.ended_s = self.clock()
        backend = work.backend
        if finished and work.request.state is State.RUNNING:
            self.scheduler.finish(work.request.id, now_s)
        else:
            self.scheduler.cancel(work.request.id, now_s)
        if backend:
            in_flight = self.running[backend]
            self._leave(work, now_s)
            work.backend = ""
            if finished and self._pool is not None:
                if work.answering:
                    patience = self._pool.patience(backend)
                    patience.observe(work.first_byte_s, work.longest_gap_s)
                self._pool.succeeded(
                    backend, work.request.id, tpot_s=work.tpot_s, in_flight=in_flight
                )
            elif self._pool is not None:
                self._pool.left(backend)
        self._step(now_s)
        if self._drained is not None and not self.works and not self._drained.done():
            self._drained.set_result(None)

    async def drain(self, limit_s: float) -> bool:
        """Take nothing new and wait for what is here; False if `limit_s` was not enough."""
        self._draining = True
        if not self.works:
            return True
        self._drained = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._drained, limit_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """End what waits and what runs; its client gets the reason."""
        self._draining = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for work in list(self.works.values()):
            self._fail(work, shutting_down())
            work.stop(shutting_down())

    def _step(self, now_s: float, arrived: Sequence[Work] = ()) -> None:
        """Carry out what is decided now; `arrived` are those that have just begun to wait."""
        began = list(arrived)
        for decision in self.scheduler.step(now_s):
            work = self.works[decision.request.id]
            if isinstance(decision, Start):
                work.backend = work.served_by = decision.backend
                self.running[decision.backend] += 1
                if work.started_s < 0.0:
                    work.started_s = now_s
                work.wake()
            elif isinstance(decision, Preempt):
                self._leave(work, now_s)
                work.interrupt()
                began.append(work)
            else:
                work.failure = from_reject(decision)
                work.wake()
        if self._foresight is not None:
            wait = [work for work in began if not work.backend and work.failure is None]
            if wait:
                self._foresight.contended(wait)
        if self.scheduler.waiting() or (self.works and self._timer is None):
            self._arm(now_s)

    def _leave(self, work: Work, now_s: float) -> None:
        self.running[work.backend] -= 1
        work.leaves(now_s)

    def _arm(self, now_s: float) -> None:
        waiting = self.scheduler.waiting()
        wakeup_s = self.scheduler.next_wakeup_s(now_s)
        at_s = now_s + (TICK_S if waiting and len(self.works) > waiting else LOOK_EVERY_S)
        if wakeup_s is not None:
            at_s = min(at_s, max(wakeup_s, now_s + 0.001))
        if self._timer is not None:
            if self._timer_at_s <= at_s:
                return
            self._timer.cancel()
        self._timer_at_s = at_s
        self._timer = asyncio.get_running_loop().call_later(at_s - now_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now_s = self.clock()
        if self._silence is not None:
            self._silence.look(self.works.values(), self.scheduler.backends, now_s)
        if self._rotation.incomplete:
            self._give_up_on_unreachable(now_s)
        self._step(now_s)

    def _give_up_on_unreachable(self, now_s: float) -> None:
        limit_s = self._settings.unavailable_wait_s
        for work in list(self.works.values()):
            if work.backend or work.failure:
                continue
            since_s = self._rotation.unserved_since_s(work.origin.model)
            if since_s is not None and now_s - since_s >= limit_s:
                self._fail(work, no_backend(work.origin.model))

    def _fail(self, work: Work, error: ApiError) -> None:
        work.failure = error
        work.wake()


def _log_failure(work: Work, error: Exception, next: str) -> None:
    status = f"{error.status} " if isinstance(error, EngineError) else ""
    logger.warning(
        "request %s failed on backend %s (%s%s); %s",
        work.request.id,
        work.served_by,
        status,
        str(error)[:200],
        next,
    )
