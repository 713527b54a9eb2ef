"""Trials: one token, asked for until it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headway.engines import trials
from headway.engines.engine import BackendGone, EngineError
from headway.engines.trials import Trials


class Server:
    """An engine whose trials end when the test says so."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[None]] = []

    async def trial(self, model: str, limit_s: float) -> None:
        answer = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        await answer


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def tried(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trials]:
    monkeypatch.setattr(trials, "TRIAL_S", 0.05)
    tried = Trials()
    yield tried
    tried.close()


async def asked(tried: Trials, server: Any) -> asyncio.Task[Any]:
    before = len(server.asked)
    task = asyncio.ensure_future(tried.outcome(server, "m"))
    while len(server.asked) == before:
        await asyncio.sleep(0)
    return task


async def test_it_tells_what_went_wrong(tried: Trials, server: Server) -> None:
    outcome = await asked(tried, server)
    server.asked[0].set_result(None)
    assert await outcome is None
    outcome = await asked(tried, server)
    server.asked[1].set_exception(EngineError(500, b"", "broken"))
    assert isinstance(await outcome, EngineError)
    outcome = await asked(tried, server)
    error = await outcome
    assert isinstance(error, BackendGone) and "no answer within" in str(error)


async def test_a_model_that_loads_for_long_is_waited_for(tried: Trials, server: Server) -> None:
    for _ in range(3):
        assert await (await asked(tried, server)) is not None
    outcome = await asked(tried, server)
    assert [answer.cancelled() for answer in server.asked] == [False, True, True, False]
    server.asked[0].set_result(None)
    assert await outcome is None
    await asyncio.sleep(0)
    assert server.asked[3].cancelled(), "and nobody else has to answer"


async def test_what_hung_does_not_hide_that_it_answers_again(tried: Trials, server: Server) -> None:
    await (await asked(tried, server))
    outcome = await asked(tried, server)
    server.asked[1].set_result(None)
    assert await outcome is None


async def test_that_an_old_trial_failed_says_nothing_about_now(
    tried: Trials, server: Server
) -> None:
    await (await asked(tried, server))
    outcome = await asked(tried, server)
    server.asked[0].set_exception(BackendGone("it hung"))
    await asyncio.sleep(0)
    server.asked[1].set_result(None)
    assert await outcome is None
