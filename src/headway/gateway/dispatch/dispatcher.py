"""Drives the scheduler: reports events to it, and carries out its decisions.

Each request runs in the task that serves its client, which holds a Slot. The scheduler is stepped
after every change, and by a timer while requests wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headway.core.backend import Backend
from headway.core.decision import Decision, Preempt, Start
from headway.core.request import Request, State, Tier
from headway.core.scheduler import Scheduler
from headway.engines.backend_status import BackendStatus
from headway.engines.engine import BackendGone
from headway.engines.pool import BackendPool
from headway.gateway.api.errors import ApiError, from_reject, no_backend, shutting_down
from headway.gateway.dispatch.departures import Departures
from headway.gateway.dispatch.held_prompts import HeldPrompts
from headway.gateway.dispatch.recent import Recent
from headway.gateway.dispatch.rotation import Rotation
from headway.gateway.dispatch.silence import LOOK_EVERY_S, Silence
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.money.pricing import Pricing
from headway.gateway.settings import GatewaySettings
from headway.gateway.work.served import Lost
from headway.gateway.work.work import Work
from headway.sharing.identity import shared_name

if TYPE_CHECKING:  # it needs an extra
    from headway.sharing.shared_queue import SharedQueue

TICK_S = 0.05
"""Interval at which preemption is reconsidered while requests wait and run."""


class Dispatcher:
    """Drives the scheduler on the event loop. There is one per process.

    Args:
        scheduler: decides which requests run where.
        pool: the backends, which report their changes to `backend_changed`.
        works: every live request by id; only the dispatcher changes it.
        foresight: predicts requests that begin to wait.
        pricing: bills every run.
        settings: the settings of the gateway.
        clock: returns seconds; never goes backwards.
        queue: passes it the slots of backends that it shares with other gateways; None: all
            slots are its own.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        pool: BackendPool,
        works: dict[str, Work],
        foresight: Foresight,
        pricing: Pricing,
        settings: GatewaySettings,
        clock: Callable[[], float] = time.monotonic,
        queue: SharedQueue | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.pool = pool
        self.works = works
        self.settings = settings
        self.clock = clock
        self.queue = queue
        self._began: list[Work] = []
        """What began to wait since decisions were last carried out."""
        self.prompts = HeldPrompts(scheduler, clock)
        """Prompts that wait for others' between two pieces."""
        self.recent = Recent()
        """What was decided lately."""
        self._silence = Silence(pool)
        self._foresight = foresight
        self.pricing = pricing
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0
        self._gave_up_s = 0.0
        """When waiting requests that no backend serves were last looked for."""
        self._drained: asyncio.Future[None] | None = None
        self._draining = False
        self._rotation = Rotation()
        self._departures = Departures()
        for status in pool.statuses.values():
            self._rotation.changed(status, clock())

    @property
    def draining(self) -> bool:
        """Whether new requests are refused."""
        return self._draining

    def running_on(self, name: str) -> int:
        """Number of requests that run on the backend `name`."""
        backend = self.scheduler.backends.get(name)
        return 0 if backend is None else len(backend.running)

    def backend_changed(self, status: BackendStatus) -> None:
        """The status of a backend changed: its health, slots, models or cost, or it is leaving."""
        now_s = self.clock()
        self._rotation.changed(status, now_s)
        self._departures.changed(status, now_s)
        description = status.description
        if description is None:
            self._let_go(now_s)
            return
        if not self.scheduler.backends:
            self.scheduler.calibrate(description.cost, now_s)
        backend = Backend(
            name=status.name,
            slots=status.slots if status.healthy else 0,
            lanes=description.lanes,
            cost=description.cost,
            piecewise=description.piecewise,
        )
        if self.queue is None or status.own:
            self.scheduler.set_backend(backend, now_s)
        else:
            self.queue.set_backend(backend, shared_name(status.url), now_s)
        moved: list[Work] = []
        if not status.healthy:
            # Requests that can be continued exactly move at once; others may still be answered.
            moved = [work for work in self._on(status.name) if work.generation is not None]
        self._move(moved, now_s)

    def submit(self, work: Work) -> None:
        """Submit `work`, which then waits or runs; `release` must follow.

        Raises:
            ApiError: it is rejected: the queue is full, its deadline cannot be met, it is too
                large, or the gateway is shutting down.
        """
        if self._draining:
            raise shutting_down()
        now_s = self.clock()
        reject = self.scheduler.add(work.request, now_s)
        if reject is not None:
            raise from_reject(reject)
        self.works[work.request.id] = work
        try:
            self._step(now_s, [work])
        except BaseException:
            self.release(work, finished=False)
            raise

    def pin(self, work: Work, now_s: float) -> None:
        """The first token arrived: only engines with the same vocabulary can continue `work`."""
        description = self.pool.statuses[work.served.backend].description
        if description is not None:
            self.scheduler.pin(work.request.id, description.pinned(work.origin.model), now_s)

    def progressed(self, work: Work, output_tokens: int, now_s: float) -> None:
        """`work` has produced `output_tokens` in total."""
        first = not work.request.output_tokens
        self.scheduler.progress(work.request.id, output_tokens, now_s)
        if first:
            self.prompts.let_on(now_s)
        if output_tokens >= work.predicted.look_at:
            self._foresight.progressed(work)

    def able(self, request: Request, *, even_busy: bool) -> list[str]:
        """Backends that serve `request` and have slots, or if `even_busy` are healthy."""
        return [
            backend.name
            for backend in self.scheduler.backends.values()
            if request.lane in backend.lanes
            and (backend.slots or (even_busy and self.pool.statuses[backend.name].healthy))
        ]

    def requeue(self, work: Work, avoid: frozenset[str]) -> None:
        """A run of `work` failed: it waits in its old place, if possible for another backend.

        Args:
            work: runs now.
            avoid: backends that it failed on.
        """
        now_s = self.clock()
        self._lose(work, now_s, "failed", avoid)
        self._step(now_s, [work])

    async def pause(self, work: Work, pause_s: float, avoid: frozenset[str]) -> None:
        """A run of `work` failed: it leaves the queue, and returns after `pause_s`.

        It returns earlier if its backend comes up again.

        Raises:
            ApiError: it is rejected on its return, or the gateway is stopping.
        """
        now_s = self.clock()
        turn = work.turn
        self._stop(work, "failed", now_s)
        work.served.failovers += 1
        work.request = self.scheduler.hand_over(work.request.id, now_s)
        work.request.avoid = avoid
        self._step(now_s)
        if isinstance(turn.stopped, BackendGone):
            turn.stopped = None
        await turn.read(self._rotation.pause(work.served.backend, pause_s))
        now_s = self.clock()
        reject = self.scheduler.add(work.request, now_s)
        if reject is not None:
            raise from_reject(reject)
        self._step(now_s, [work])

    def end(self, work: Work, error: ApiError) -> None:
        """End `work` now, whether it waits or runs: its client gets `error`."""
        work.turn.fail(error)
        work.turn.stop(error)

    def move(self, work: Work, tier: Tier) -> None:
        """`work`, which waits, belongs to `tier` from now on. Raises ValueError if it runs."""
        now_s = self.clock()
        self.scheduler.move(work.request.id, tier, now_s)
        self._step(now_s)

    def release(self, work: Work, *, finished: bool) -> None:
        """Give back the slot or the place in the queue. A second call has no effect."""
        if self.works.pop(work.request.id, None) is None:
            return
        now_s = work.served.ended_s = self.clock()
        backend = work.request.backend
        in_flight = self.running_on(backend)
        if finished and work.request.state is State.RUNNING:
            if work.output_tokens > work.request.output_tokens:  # of a whole answer, all at once
                self.scheduler.progress(work.request.id, work.output_tokens, now_s)
            self.scheduler.finish(work.request.id, now_s)
        else:
            self.scheduler.cancel(work.request.id, now_s)
        if backend:
            turn = work.turn
            self.pricing.stops(work, now_s)
            turn.end(now_s)
            if not finished:
                self.pool.left(backend)
            else:
                if turn.answering:
                    self.pool.patience(backend).observe(turn.first_byte_s, turn.longest_gap_s)
                self.pool.succeeded(
                    backend, work.request.id, tpot_s=work.tpot_s, in_flight=in_flight
                )
        self._step(now_s)
        if self._drained is not None and not self.works and not self._drained.done():
            self._drained.set_result(None)

    async def drain(self, limit_s: float) -> bool:
        """Refuse new requests and wait for the others; False if `limit_s` was too short."""
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
        """End all waiting and running requests; their clients get an error."""
        self._draining = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for work in list(self.works.values()):
            self.end(work, shutting_down())

    def _step(self, now_s: float, arrived: Sequence[Work] = ()) -> None:
        """Step the scheduler and carry out its decisions; `arrived` have just begun to wait.

        With a shared queue, that follows once it is known which slots there are.
        """
        self._began += arrived
        if self.queue is None:
            self.carry_out(self.scheduler.step(now_s), now_s)
        else:
            self.queue.changed(now_s)
            self._arm_if_needed(now_s)

    def carry_out(self, decisions: Sequence[Decision], now_s: float) -> None:
        """Carry out what the scheduler decided when it was stepped."""
        began, self._began = self._began, []
        if decisions:
            self.recent.decided(decisions, now_s)
        for decision in decisions:
            work = self.works[decision.request.id]
            if isinstance(decision, Start):
                work.served.backend = decision.backend
                work.served.began_s = now_s
                self.pricing.begins(work, now_s)
                work.turn.wake()
            elif isinstance(decision, Preempt):
                self._stop(work, "preempted", now_s)
                work.turn.interrupt()
                began.append(work)
            else:
                work.turn.fail(from_reject(decision))
        wait = [work for work in began if not work.request.backend and work.turn.failure is None]
        if wait:
            self._foresight.contended([work for work in wait if work.request.id in self.works])
        self.prompts.let_on(now_s)
        self._let_go(now_s)
        self._arm_if_needed(now_s)

    def _arm_if_needed(self, now_s: float) -> None:
        if self.scheduler.waiting() or (self.works and self._timer is None):
            self._arm(now_s)

    def _let_go(self, now_s: float) -> None:
        """Forget the leaving backends on which nothing runs any more."""
        for name in self._departures.names:
            if not self.running_on(name):
                if name in self.scheduler.backends:
                    self.scheduler.remove_backend(name, now_s)
                    if self.queue is not None:
                        self.queue.forget(name)
                self._departures.left(name)
                self._rotation.left(name)
                self.pool.drop(name)

    def _on(self, backend: str) -> list[Work]:
        """What runs on that backend."""
        return [work for work in self.works.values() if work.request.backend == backend]

    def _move(self, works: Sequence[Work], now_s: float) -> None:
        """Take `works` off their backends: they wait in their old places, and go on elsewhere."""
        for work in works:
            self._lose(work, now_s, "moved")
            work.turn.interrupt()
        self._step(now_s, works)

    def _lose(
        self,
        work: Work,
        now_s: float,
        why: Lost,
        avoid: frozenset[str] = frozenset(),
    ) -> None:
        """`work` lost its backend and waits in its old place."""
        self._stop(work, why, now_s)
        work.served.failovers += 1
        self.scheduler.requeue(work.request.id, now_s, avoid)

    def _stop(self, work: Work, why: Lost, now_s: float) -> None:
        """The run of `work` has ended, and another one will follow."""
        self.pricing.loses(work, now_s)
        work.lost_slot(why, now_s)

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
        self._silence.look(self.works.values(), self.scheduler.backends, now_s)
        if self._rotation.incomplete or now_s - self._gave_up_s >= LOOK_EVERY_S:
            self._give_up_on_unreachable(now_s)
        self._move(self._kept_for_too_long(now_s), now_s)

    def _kept_for_too_long(self, now_s: float) -> list[Work]:
        """What still runs on a leaving backend after `drain_s`, and can go on elsewhere."""
        return [
            work
            for name in self._departures.overdue(self.settings.drain_s, now_s)
            for work in self._on(name)
            if work.generation is not None and self.able(work.request, even_busy=False)
        ]

    def _give_up_on_unreachable(self, now_s: float) -> None:
        self._gave_up_s = now_s
        limit_s = self.settings.unavailable_wait_s
        for work in list(self.works.values()):
            if work.request.backend or work.turn.failure:
                continue
            since_s = self._rotation.unserved_since_s(work.request.lane)
            if since_s is not None and now_s - since_s >= limit_s:
                work.turn.fail(no_backend(work.origin.model))
