"""The driver of the scheduler: carries its decisions out, and tells it what happened.

Each request runs in the task that serves its client. That task hands the request in (`submit`),
waits for its `turn`, reads from the engine, and gives the slot back (`release`). The scheduler
is stepped wherever something changed, and by a timer while something waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import cast

from headway.core.backend import Backend
from headway.core.decision import Preempt, Start
from headway.core.request import State
from headway.core.scheduler import Scheduler
from headway.engines.engine import BackendGone, Delta, Engine
from headway.engines.member import BackendStatus
from headway.engines.pool import BackendPool
from headway.gateway.errors import ApiError, from_reject, gave_up, no_backend, shutting_down
from headway.gateway.foresight import Foresight
from headway.gateway.settings import GatewaySettings
from headway.gateway.work import Work

logger = logging.getLogger(__name__)

TICK_S = 0.05
"""How often preemption is reconsidered while something waits and something runs."""
BACK_OFF_S = 0.1
"""Pause before the second run after a failed one; doubles with each."""


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
        self._foresight: Foresight | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0
        self._drained: asyncio.Future[None] | None = None
        self._draining = False
        self._down_since: dict[str, float] = {}

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    def use(self, pool: BackendPool, foresight: Foresight | None = None) -> None:
        """Run on the backends of `pool`, which tells its changes to `backend_changed`.

        `foresight` is told of every request that must wait, or must wait again.
        """
        self._pool = pool
        self._foresight = foresight

    def backend_changed(self, status: BackendStatus) -> None:
        """A backend came, went, or can take more or less than before."""
        now_s = self.clock()
        self.statuses[status.name] = status
        self.running.setdefault(status.name, 0)
        if status.healthy:
            self._down_since.pop(status.name, None)
        else:
            self._down_since.setdefault(status.name, now_s)
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
                    self._leave(work)
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
        work.interrupted = False
        if not work.backend:
            await work.waited()
        if work.failure is not None:
            raise work.failure
        assert self._pool is not None
        return self._pool.engine(work.backend)

    async def generate(self, work: Work) -> AsyncGenerator[Delta, None]:
        """The output of `work`, whole, over preemptions and failing backends.

        Raises:
            ApiError: it will not get another turn, or failed too often.
            EngineError: the engine refuses it.
        """
        generation = work.generation
        assert generation is not None
        task = asyncio.current_task()
        assert task is not None
        while True:
            try:
                engine = await self.turn(work)
                stream = cast(AsyncGenerator[Delta, None], engine.generate(generation))
                async with aclosing(stream) as deltas:
                    while not work.interrupted:
                        work.reader = task
                        try:
                            delta = await anext(deltas)
                        except StopAsyncIteration:
                            return
                        finally:
                            work.reader = None
                        self.progress(work, generation.output_tokens - work.output_tokens)
                        if work.prompt_tokens is None and delta.prompt_tokens is not None:
                            work.prompt_tokens = delta.prompt_tokens
                            work.cached_tokens = delta.cached_tokens
                        yield delta
            except asyncio.CancelledError:
                # Cancelled by us, to stop reading; by others as well if its client is gone.
                if not work.reader_cancelled or task.uncancel() > 0:
                    raise
                work.reader_cancelled = False
            except BackendGone as error:
                await self.failed(work, error)

    def progress(self, work: Work, tokens: int) -> None:
        """The engine delivered `tokens` more."""
        now_s = self.clock()
        if work.first_token_s < 0.0:
            work.first_token_s = now_s
        work.last_token_s = now_s
        if tokens <= 0:
            return
        work.failed_runs = 0
        if work.output_tokens == 0 and work.generation is not None:
            # From here on only an engine with the same vocabulary can go on.
            description = self.statuses[work.served_by].description
            if description is not None:
                work.request.lane = f"{work.origin.model}#{description.vocabulary}"
        work.output_tokens += tokens
        if work.backend:
            self.scheduler.progress(work.request.id, work.output_tokens, now_s)
            if work.output_tokens >= work.look_at and self._foresight is not None:
                self._foresight.progressed(work)

    async def failed(self, work: Work, error: BackendGone) -> None:
        """Its backend broke: put `work` back in its place, for another run.

        Raises:
            ApiError: it failed too often in a row.
        """
        if work.interrupted:
            return  # it lost that backend already
        self.lost(work, error)
        work.failed_runs += 1
        if work.failed_runs >= self._settings.attempts:
            raise gave_up(work.failed_runs, str(error))
        if work.failed_runs > 1:
            await asyncio.sleep(BACK_OFF_S * 2.0 ** (work.failed_runs - 2))
        if work.backend and not work.interrupted:
            now_s = self.clock()
            self._leave(work)
            work.backend = ""
            work.failovers += 1
            self.scheduler.requeue(work.request.id, now_s)
            self._step(now_s, [work])

    def lost(self, work: Work, error: BackendGone) -> None:
        """Its backend broke: let the pool look at it."""
        logger.warning("request %s lost backend %s: %s", work.request.id, work.served_by, error)
        assert self._pool is not None
        self._pool.failed(work.served_by, error)

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
            self._leave(work)
            work.backend = ""
            if finished and self._pool is not None:
                ttft_s, tpot_s = _speed(work)
                self._pool.succeeded(backend, ttft_s=ttft_s, tpot_s=tpot_s, in_flight=in_flight)
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
        """End what still waits, and what runs where its stream can tell the client why."""
        self._draining = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for work in list(self.works.values()):
            self._fail(work, shutting_down())
            if work.generation is not None:
                work.interrupt()

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
                self._leave(work)
                work.interrupt()
                began.append(work)
            else:
                work.failure = from_reject(decision)
                work.wake()
        if self._foresight is not None:
            wait = [work for work in began if not work.backend and work.failure is None]
            if wait:
                self._foresight.contended(wait)
        if self.scheduler.waiting():
            self._arm(now_s)

    def _leave(self, work: Work) -> None:
        self.running[work.backend] -= 1

    def _arm(self, now_s: float) -> None:
        busy = len(self.works) > self.scheduler.waiting()
        wakeup_s = self.scheduler.next_wakeup_s(now_s)
        at_s = now_s + TICK_S if busy else now_s + 1.0
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
        if self._down_since:
            self._give_up_on_unreachable(now_s)
        self._step(now_s)

    def _give_up_on_unreachable(self, now_s: float) -> None:
        limit_s = self._settings.unavailable_wait_s
        reachable: set[str] = set()
        for status in self.statuses.values():
            down_s = self._down_since.get(status.name)
            if status.description and (down_s is None or now_s - down_s < limit_s):
                reachable.update(status.description.models)
        for work in list(self.works.values()):
            if not work.backend and work.origin.model not in reachable and not work.failure:
                self._fail(work, no_backend(work.origin.model))

    def _fail(self, work: Work, error: ApiError) -> None:
        work.failure = error
        work.wake()


def _speed(work: Work) -> tuple[float | None, float | None]:
    """TTFT at the backend and time per output token, of a request that ran in one go."""
    tokens = work.output_tokens
    if tokens <= 0 or work.request.preemptions or work.failovers:
        return None, None
    if not work.stream and work.generation is None:
        return None, (work.ended_s - work.started_s) / tokens
    ttft_s = work.first_token_s - work.started_s
    if tokens == 1:
        return ttft_s, None
    return ttft_s, (work.last_token_s - work.first_token_s) / (tokens - 1)
