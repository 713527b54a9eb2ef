"""Interruptions and clients that leave, in every order, on the dispatcher alone."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from tests.gateway.conftest import until
from tests.gateway.doubles import EnginePool, ExactEngine, dispatcher_of, run, work

from headway.core.request import State
from headway.engines.engine import BackendSilent
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.slot import Slot
from headway.gateway.work import retries


@pytest.fixture
async def engine() -> ExactEngine:
    return ExactEngine()


@pytest.fixture
async def dispatcher(engine: ExactEngine) -> Dispatcher:
    pool = EnginePool(engine)
    dispatcher, _ = dispatcher_of(pool)
    await pool.start(dispatcher.backend_changed)
    return dispatcher


async def test_an_interrupted_reader_goes_on_and_its_task_is_not_cancelled(
    dispatcher: Dispatcher, engine: ExactEngine
) -> None:
    one = work("one")
    task = asyncio.ensure_future(run(dispatcher, one))
    engine.allow(2)
    await until(lambda: one.output_tokens == 2 and one.turn.reading)
    dispatcher.pool.set("exact", healthy=False)
    assert one.request.state is State.PREEMPTED
    await until(lambda: engine.running == 0)
    dispatcher.pool.set("exact")
    engine.allow()
    assert await task == "0 1 2 3 4 "
    assert task.cancelling() == 0
    assert engine.starts == [0, 2]


@pytest.mark.parametrize("interrupted_first", [True, False])
async def test_a_client_that_leaves_while_it_is_interrupted_is_gone(
    dispatcher: Dispatcher, engine: ExactEngine, interrupted_first: bool
) -> None:
    one = work("one")
    task = asyncio.ensure_future(run(dispatcher, one))
    engine.allow(1)
    await until(lambda: one.output_tokens == 1 and one.turn.reading)
    if interrupted_first:
        dispatcher.pool.set("exact", healthy=False)
        task.cancel()
    else:
        task.cancel()
        dispatcher.pool.set("exact", healthy=False)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.request.state is State.CANCELLED
    assert not dispatcher.works and dispatcher.running_on("exact") == 0


async def test_interrupted_while_it_does_not_read_and_then_left(
    dispatcher: Dispatcher, engine: ExactEngine
) -> None:
    """Its client is gone while its task waits for something else than the engine."""
    one = work("one")
    stuck = asyncio.Event()

    async def slow_client() -> None:
        with Slot(dispatcher, one) as slot:
            async with aclosing(slot.generate()) as deltas:
                async for _ in deltas:
                    stuck.set()
                    await asyncio.Event().wait()

    engine.allow(1)
    task = asyncio.ensure_future(slow_client())
    await stuck.wait()
    dispatcher.pool.set("exact", healthy=False)
    assert one.turn.interrupted and not one.turn.reading
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not dispatcher.works


async def test_waiting_requests_hold_no_slot_when_they_leave(
    dispatcher: Dispatcher, engine: ExactEngine
) -> None:
    tasks = [asyncio.ensure_future(run(dispatcher, work(f"r{n}"))) for n in range(50)]
    await until(lambda: dispatcher.scheduler.waiting() == 49)
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks[1:], return_exceptions=True)
    assert dispatcher.scheduler.waiting() == 0
    engine.allow()
    assert await tasks[0] == "0 1 2 3 4 "
    assert dispatcher.scheduler.requests == {} and dispatcher.running_on("exact") == 0


async def test_draining_waits_for_everything_and_refuses_the_rest(
    dispatcher: Dispatcher, engine: ExactEngine
) -> None:
    tasks = [asyncio.ensure_future(run(dispatcher, work(f"r{n}"))) for n in range(3)]
    await until(lambda: len(dispatcher.works) == 3)
    drain = asyncio.ensure_future(dispatcher.drain(5))
    await asyncio.sleep(0)
    with pytest.raises(Exception, match="shutting down"):
        dispatcher.submit(work("late"))
    assert not drain.done()
    engine.allow()
    assert await drain
    assert await asyncio.gather(*tasks) == ["0 1 2 3 4 "] * 3


@pytest.fixture
async def two() -> tuple[Dispatcher, ExactEngine, ExactEngine]:
    """A dispatcher over the backends a and b; b is down."""
    a, b = ExactEngine("a"), ExactEngine("b")
    pool = EnginePool(a, b)
    dispatcher, _ = dispatcher_of(pool)
    await pool.start(dispatcher.backend_changed)
    pool.set("b", healthy=False)
    return dispatcher, a, b


async def test_one_that_is_silent_and_then_loses_its_slot_waits_for_another(
    two: tuple[Dispatcher, ExactEngine, ExactEngine],
) -> None:
    """Both happen before its task runs: the backend is reported, and nothing is given up."""
    dispatcher, a, b = two
    one = work("one")
    task = asyncio.ensure_future(run(dispatcher, one))
    a.allow(1)
    await until(lambda: one.output_tokens == 1 and one.turn.reading)
    dispatcher.pool.set("b")
    blocker = asyncio.ensure_future(run(dispatcher, work("blocker")))
    await until(lambda: b.running == 1)
    one.turn.stop(BackendSilent("nothing came"))
    dispatcher.pool.set("a", healthy=False)
    b.allow()
    assert await asyncio.gather(task, blocker) == ["0 1 2 3 4 "] * 2
    assert [name for name, _ in dispatcher.pool.failures] == ["a"]


async def test_a_slot_that_is_lost_before_its_task_sees_it_counts_no_traffic(
    two: tuple[Dispatcher, ExactEngine, ExactEngine],
) -> None:
    dispatcher, _, b = two
    dispatcher.pool.set("a", healthy=False)
    task = asyncio.ensure_future(run(dispatcher, work("one")))
    await until(lambda: dispatcher.scheduler.waiting() == 1)
    dispatcher.pool.set("a")  # it starts there
    dispatcher.pool.set("a", healthy=False)  # and loses that slot before its task runs
    dispatcher.pool.set("b")
    b.allow()
    assert await task == "0 1 2 3 4 "
    assert [dispatcher.pool.activity(name).in_flight for name in ("a", "b")] == [0, 0]


async def test_a_request_that_cannot_be_handed_in_leaves_nothing_behind(
    dispatcher: Dispatcher, engine: ExactEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asyncio.ensure_future(run(dispatcher, work("first")))
    await until(lambda: engine.running == 1)

    def fails(waiting: object) -> None:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(dispatcher._foresight, "contended", fails)
    with pytest.raises(RuntimeError, match="a fault of our own"):
        await run(dispatcher, work("second"))
    assert list(dispatcher.works) == ["first"] and dispatcher.scheduler.waiting() == 0
    engine.allow()
    assert await first == "0 1 2 3 4 "


class Brittle(ExactEngine):
    """Breaks after every token."""

    @property
    def dies_at(self) -> int:  # type: ignore[override]
        return len(self.starts)

    @dies_at.setter
    def dies_at(self, number: int | None) -> None:
        pass


async def test_progress_forgets_what_failed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails more often than is allowed in a row, but never twice without a new token."""
    monkeypatch.setattr(retries, "FIRST_PAUSE_S", 0.001)
    pool = EnginePool(brittle := Brittle())
    monkeypatch.setattr(pool, "failed", lambda name, _, error: pool.failures.append((name, error)))
    dispatcher, _ = dispatcher_of(pool)
    await pool.start(dispatcher.backend_changed)
    brittle.allow()
    assert await run(dispatcher, work("one", 8)) == "0 1 2 3 4 5 6 7 "
    assert len(pool.failures) == 7 > dispatcher.settings.attempts
