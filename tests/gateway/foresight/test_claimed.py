"""`x-headway-expected-tokens`: taken at its word as long as it comes true."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.conftest import ask, until
from tests.gateway.doubles import ExactEngine, Reader
from tests.gateway.foresight.test_foresight import gateway_with, works_of

from headway.core.request import State, Tier
from headway.core.settings import TierSettings
from headway.gateway.server import Gateway
from headway.prediction.live.claims import most_tokens
from headway.prediction.live.history import LengthHistory, Origin


@pytest.fixture
async def engine() -> ExactEngine:
    return ExactEngine()


def claims(tokens: int, tenant: str = "liar") -> dict[str, dict[str, str]]:
    return {"extra_headers": {"x-headway-expected-tokens": str(tokens), "x-headway-tenant": tenant}}


def history(tokens: int = 300) -> LengthHistory:
    """Answers of everybody were that long so far."""
    known = LengthHistory()
    for tenant in ("liar", "honest"):
        for _ in range(300):
            known.observe(Origin("counter", tenant), tokens, False)
    return known


def estimated(gateway: Gateway, prompt: str) -> float:
    return works_of(gateway)[prompt].request.estimate.mean


async def lie(gateway: Gateway, engine: ExactEngine) -> None:
    engine.allow(100)
    await ask(gateway, "lie", max_tokens=100, **claims(1))


async def test_a_claim_is_believed_at_first(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "srpt", history())
    first = ask(gateway, "first", max_tokens=400, **claims(1))
    await until(lambda: engine.running == 1)
    assert estimated(gateway, "first") == 1.0
    first.cancel()


async def test_after_one_that_was_wrong_the_larger_of_claim_and_prediction_counts(
    stack, engine
) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "srpt", history())
    await lie(gateway, engine)
    asked = [
        ask(gateway, "short", max_tokens=4000, **claims(1)),
        ask(gateway, "long", max_tokens=4000, **claims(3000)),
        ask(gateway, "honest", max_tokens=4000, **claims(1, "honest")),
    ]
    await until(lambda: len(works_of(gateway)) == 3)
    assert estimated(gateway, "short") > 100
    assert estimated(gateway, "long") == 3000
    assert estimated(gateway, "honest") == 1
    for one in asked:
        one.cancel()


async def test_an_answer_that_outlives_its_claim_is_ranked_anew_while_it_runs(
    stack, engine
) -> None:
    tiers = {Tier.STANDARD: TierSettings(max_slowdown=5.0)}
    gateway = await gateway_with(stack, engine, Reader(), "srpt", history(), tiers=tiers)
    runs = ask(gateway, "runs", max_tokens=400, **claims(1))
    await until(lambda: engine.running == 1)
    waits = ask(gateway, "waits", max_tokens=400, **claims(1))
    await until(lambda: len(works_of(gateway)) == 2)
    runs_since, waits_since = (works_of(gateway)[one].request for one in ("runs", "waits"))
    due_s = waits_since.due_s
    engine.allow(most_tokens(1))
    await until(lambda: runs_since.output_tokens == most_tokens(1))
    assert runs_since.estimate.mean == waits_since.estimate.mean == 1.0
    engine.allow(1)
    await until(lambda: runs_since.estimate.mean > 100)
    assert runs_since.state is State.RUNNING
    assert runs_since.predicted_tokens > 100, "what protects an answer well on its way, too"
    assert waits_since.estimate.mean > 100, "whoever waits with such a claim is ranked anew, too"
    assert waits_since.due_s > due_s, "nor is it due early by its claim"
    for one in (runs, waits):
        one.cancel()


async def test_a_disbelieved_request_is_predicted_like_any_other(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "srpt", history())
    await lie(gateway, engine)
    first = ask(gateway, "3", max_tokens=400, **claims(1, "honest"))
    await until(lambda: engine.running == 1)
    second = ask(gateway, "9", max_tokens=400, **claims(1))
    await until(lambda: gateway._foresight.predicted == 1)
    works = works_of(gateway)
    assert works["9"].predicted.forecast is not None
    assert works["3"].predicted.forecast is None, "who is believed needs no prediction"
    for one in (first, second):
        one.cancel()


async def test_claims_that_come_true_again_are_believed_again(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "srpt", history())
    await lie(gateway, engine)
    engine.allow()
    for _ in range(20):
        await ask(gateway, "true", max_tokens=5, **claims(5))
    gateway._accounts.flush()
    engine.tokens = asyncio.Semaphore(0)
    again = ask(gateway, "again", max_tokens=400, **claims(1))
    await until(lambda: engine.running == 1)
    assert estimated(gateway, "again") == 1.0
    again.cancel()
