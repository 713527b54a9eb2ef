"""A backend taken out of the settings finishes what it runs, and leaves; nothing is lost."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.conftest import until
from tests.gateway.doubles import EnginePool, ExactEngine, dispatcher_of, run, work

from headway.gateway.api.errors import ApiError
from headway.gateway.dispatch import dispatcher as dispatching
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.settings import GatewaySettings

WHOLE = "0 1 2 3 4 "


class Two(NamedTuple):
    """A dispatcher over the backends a and b, which wait for at most `drain_s`."""

    dispatcher: Dispatcher
    pool: EnginePool
    a: ExactEngine
    b: ExactEngine

    def start(self, name: str) -> asyncio.Task[str]:
        return asyncio.ensure_future(run(self.dispatcher, work(name)))


async def two(drain_s: float = 30.0, *, vocabulary: str = "v", slots: int = 1) -> Two:
    a = ExactEngine("a", slots=slots)
    b = ExactEngine("b", slots=slots, vocabulary=vocabulary)
    pool = EnginePool(a, b)
    dispatcher, _ = dispatcher_of(pool, GatewaySettings(drain_s=drain_s))
    await pool.start(dispatcher.backend_changed)
    return Two(dispatcher, pool, a, b)


async def test_one_on_which_nothing_runs_leaves_at_once() -> None:
    gateway = await two()
    gateway.pool.set("a", leaving=True)
    assert list(gateway.pool.statuses) == ["b"]
    assert list(gateway.dispatcher.scheduler.backends) == ["b"]


async def test_it_finishes_what_it_runs_takes_nothing_new_and_leaves() -> None:
    gateway = await two()
    gateway.a.allow(2)
    first = gateway.start("first")
    await until(lambda: gateway.a.running == 1)
    gateway.pool.set("a", leaving=True)
    gateway.b.allow()
    assert await asyncio.gather(*(gateway.start(f"r{n}") for n in range(3))) == [WHOLE] * 3
    assert "a" in gateway.pool.statuses and len(gateway.a.starts) == 1
    gateway.a.allow()
    assert await first == WHOLE
    assert list(gateway.pool.statuses) == list(gateway.dispatcher.scheduler.backends) == ["b"]


async def test_what_takes_longer_than_the_limit_goes_on_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatching, "LOOK_EVERY_S", 0.01)
    gateway = await two(drain_s=0.0)
    gateway.a.allow(2)
    first = gateway.start("first")
    await until(lambda: gateway.a.running == 1 and gateway.a.tokens.locked())
    gateway.b.allow()
    gateway.pool.set("a", leaving=True)
    assert await first == WHOLE
    assert gateway.b.starts == [2], "without a token twice"
    assert list(gateway.pool.statuses) == ["b"]


async def test_what_only_it_can_continue_stays_there_however_long_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatching, "LOOK_EVERY_S", 0.01)
    gateway = await two(drain_s=0.0, vocabulary="another")
    gateway.a.allow(2)
    first = gateway.start("first")
    await until(lambda: gateway.a.running == 1 and gateway.a.tokens.locked())
    gateway.pool.set("a", leaving=True)
    ticks = gateway.dispatcher._timer
    await until(lambda: gateway.dispatcher._timer is not ticks)
    assert gateway.a.running == 1 and "a" in gateway.pool.statuses
    gateway.a.allow()
    assert await first == WHOLE


async def test_one_that_is_configured_again_stays() -> None:
    gateway = await two()
    first = gateway.start("first")
    await until(lambda: gateway.a.running == 1)
    gateway.pool.set("a", leaving=True)
    gateway.pool.set("a")
    gateway.a.allow()
    assert await first == WHOLE
    assert list(gateway.pool.statuses) == ["a", "b"]
    assert await gateway.start("second") == WHOLE


async def test_whoever_waits_for_a_model_that_has_left_is_refused() -> None:
    gateway = await two()
    gateway.pool.set("b", leaving=True)
    first, second = gateway.start("first"), gateway.start("second")
    await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
    gateway.pool.set("a", leaving=True)
    with pytest.raises(ApiError, match="No backend that serves 'counter'"):
        await second
    gateway.a.allow()
    assert await first == WHOLE
    assert not gateway.pool.statuses and not gateway.dispatcher.scheduler.backends


async def test_an_answer_that_no_backend_can_continue_ends_with_an_error() -> None:
    """Its backend dies while it leaves, and the other one has another vocabulary."""
    gateway = await two(vocabulary="another")
    gateway.a.allow(2)
    first = gateway.start("first")
    await until(lambda: gateway.a.running == 1 and gateway.a.tokens.locked())
    gateway.pool.set("a", leaving=True)
    gateway.pool.set("a", leaving=True, healthy=False)
    with pytest.raises(ApiError, match="No backend that serves"):
        await first
    assert list(gateway.pool.statuses) == ["b"]


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.just("")),
        st.tuples(st.sampled_from(["leave", "come", "fall", "allow"]), st.sampled_from("ab")),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(CHANGES)
def test_no_request_is_lost_or_answered_twice_whatever_comes_and_leaves(
    changes: list[tuple[str, str]],
) -> None:
    async def play() -> None:
        gateway = await two(drain_s=0.0, slots=2)
        engines = {"a": gateway.a, "b": gateway.b}
        asked: list[asyncio.Task[str]] = []
        for change, name in changes:
            if change == "ask":
                asked.append(gateway.start(f"r{len(asked)}"))
            elif change == "allow":
                engines[name].allow(3)
            else:
                there = name in gateway.pool.statuses
                if change == "come" or (there and change == "fall"):
                    gateway.pool.set(name, healthy=change == "come")
                elif there and len(gateway.pool.statuses) == 2:
                    gateway.pool.set(name, leaving=True)
            for _ in range(3):
                await asyncio.sleep(0)
            here = gateway.dispatcher.scheduler.backends
            assert set(here) == set(gateway.pool.statuses)
            leaving = [one for one in here if gateway.pool.statuses[one].leaving]
            assert all(here[one].running and not here[one].slots for one in leaving)
        for name, engine in engines.items():
            gateway.pool.set(name)
            engine.allow()
        assert await asyncio.gather(*asked) == [WHOLE] * len(asked)
        assert not gateway.dispatcher.works
        for name in engines:
            assert gateway.pool.activity(name).in_flight == 0
            assert gateway.dispatcher.running_on(name) == 0
            gateway.pool.set(name, leaving=True)
        assert not gateway.pool.statuses and not gateway.dispatcher.scheduler.backends

    asyncio.run(play())
