"""A task that keeps failing waits until one attempt succeeds."""

from __future__ import annotations

import asyncio

import pytest

from headway.workflows import breakers
from headway.workflows.breakers import FAILURES, Breakers


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "COOLDOWN_S", 0.02)


async def attempt(all_: Breakers, step: str, error: Exception | None = None) -> None:
    async with all_.passed("fetch", step):
        if error is not None:
            raise error


async def failing(all_: Breakers, count: int, error: Exception) -> None:
    for number in range(count):
        with pytest.raises(type(error)):
            await attempt(all_, f"step {number}", error)


async def test_after_some_failures_one_attempt_tries_and_the_others_wait(fast: None) -> None:
    all_ = Breakers(asyncio.get_running_loop().time)
    await failing(all_, FAILURES, ConnectionError())
    running, let_go = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with all_.passed("fetch", "a"):
            running.set()
            await let_go.wait()

    trial = asyncio.create_task(first())
    other = asyncio.create_task(attempt(all_, "b"))
    await running.wait()
    await asyncio.sleep(0)
    assert not other.done()
    let_go.set()
    await trial
    await other


async def test_a_trial_that_fails_is_followed_by_a_longer_wait(fast: None) -> None:
    loop = asyncio.get_running_loop()
    all_ = Breakers(loop.time)
    await failing(all_, FAILURES, ConnectionError())
    began_s = loop.time()
    await failing(all_, 1, ConnectionError())
    await attempt(all_, "at last")
    assert loop.time() - began_s >= 0.02 + 0.04
    await attempt(all_, "at once")


@pytest.mark.parametrize("error", [TypeError(), ValueError("the answer is no JSON")])
async def test_errors_of_the_program_and_wrong_answers_do_not_count(error: Exception) -> None:
    all_ = Breakers(asyncio.get_running_loop().time)
    await failing(all_, 3 * FAILURES, error)
    await asyncio.wait_for(attempt(all_, "next"), 0.5)


async def test_failures_of_one_step_count_once() -> None:
    all_ = Breakers(asyncio.get_running_loop().time)
    for _ in range(3 * FAILURES):
        with pytest.raises(ConnectionError):
            await attempt(all_, "the same", ConnectionError())
    await asyncio.wait_for(attempt(all_, "another"), 0.5)


async def test_other_tasks_go_on() -> None:
    all_ = Breakers(asyncio.get_running_loop().time)
    await failing(all_, FAILURES, ConnectionError())
    async with asyncio.timeout(0.5), all_.passed("other", "x"):
        pass
