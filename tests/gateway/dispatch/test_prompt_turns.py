"""Prompts of lower tiers come in pieces, between which those of higher tiers have their turn."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.conftest import until
from tests.gateway.doubles import EnginePool, PiecewiseEngine, dispatcher_of, run, work

from headway.core.request import Tier
from headway.gateway.api.errors import ApiError
from headway.gateway.dispatch.dispatcher import Dispatcher


async def beside_chat(engine: PiecewiseEngine) -> Dispatcher:
    """A dispatcher of that engine, which has just answered an interactive request."""
    pool = EnginePool(engine)
    dispatcher, _ = dispatcher_of(pool)
    await pool.start(dispatcher.backend_changed)
    engine.allow(1)
    await run(dispatcher, work("before", 1, Tier.INTERACTIVE))
    return dispatcher


async def test_a_line_computes_its_prompt_in_pieces_and_then_answers() -> None:
    engine = PiecewiseEngine(slots=2)
    dispatcher = await beside_chat(engine)
    engine.pieces.release()
    line = asyncio.ensure_future(run(dispatcher, work("line", 3, Tier.BATCH)))
    await until(lambda: engine.asked == 2)
    assert engine.starts == [0]  # of the interactive one alone
    for _ in range(9):
        engine.pieces.release()
    engine.allow(3)
    assert await line == "0 1 2 "
    assert engine.computed == 10


async def test_an_interactive_prompt_has_its_turn_after_the_piece_under_way() -> None:
    engine = PiecewiseEngine(slots=2)
    dispatcher = await beside_chat(engine)
    line = asyncio.ensure_future(run(dispatcher, work("line", 1, Tier.BATCH)))
    await until(lambda: engine.asked == 1)
    chat = asyncio.ensure_future(run(dispatcher, work("chat", 2, Tier.INTERACTIVE)))
    await until(lambda: len(engine.starts) == 2)
    for _ in range(10):
        engine.pieces.release()
    await until(lambda: engine.computed == 1)
    await asyncio.sleep(0)
    assert engine.asked == 1
    engine.allow(1)
    await until(lambda: engine.computed == 10)
    assert not chat.done()
    engine.allow(2)
    assert await chat == "0 1 "
    assert await line == "0 "


async def test_a_line_whose_prompt_waits_gives_its_slot_and_goes_on_later() -> None:
    engine = PiecewiseEngine(slots=1)
    dispatcher = await beside_chat(engine)
    line = work("line", 1, Tier.BATCH)
    answer = asyncio.ensure_future(run(dispatcher, line))
    await until(lambda: engine.asked == 1)
    chat = asyncio.ensure_future(run(dispatcher, work("chat", 1, Tier.INTERACTIVE)))
    await until(lambda: len(engine.starts) == 2)
    assert line.request.preemptions == 1
    engine.allow(1)
    assert await chat == "0 "
    for _ in range(10):
        engine.pieces.release()
    engine.allow(1)
    assert await answer == "0 "


async def test_a_held_prompt_ends_with_the_gateway() -> None:
    engine = PiecewiseEngine(slots=2)
    dispatcher = await beside_chat(engine)
    line = asyncio.ensure_future(run(dispatcher, work("line", 1, Tier.BATCH)))
    await until(lambda: engine.asked == 1)
    chat = asyncio.ensure_future(run(dispatcher, work("chat", 1, Tier.INTERACTIVE)))
    await until(lambda: len(engine.starts) == 2)
    engine.pieces.release()
    await until(lambda: engine.computed == 1)
    dispatcher.close()
    for one in (line, chat):
        with pytest.raises(ApiError):
            await one
