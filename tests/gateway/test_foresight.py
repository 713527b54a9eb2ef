"""Predictions beside the event loop: never waited for, never in the way."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.conftest import client_of, until
from tests.gateway.doubles import EnginePool, ExactEngine

from headway.core.estimate import SizeEstimate
from headway.core.settings import SchedulerSettings
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.prediction.bins import BIN_TOKENS
from headway.prediction.predictor import Prediction


class Reader:
    """A predictor that goes by the number in the prompt."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.calibration = self

    def predict(self, prompts):
        if self.broken:
            raise RuntimeError("no idea")
        return [
            Prediction(float(prompt.text), self.estimate(float(prompt.text))) for prompt in prompts
        ]

    def estimate(self, score: float) -> SizeEstimate:
        place = min(len(BIN_TOKENS) - 1, max(0, round(4 * score)))
        return SizeEstimate(BIN_TOKENS, [float(n == place) for n in range(len(BIN_TOKENS))])


@pytest.fixture
async def engine() -> ExactEngine:
    return ExactEngine()


async def gateway_with(stack, engine: ExactEngine, predictor: Reader, policy: str) -> Gateway:
    settings = GatewaySettings(port=0, scheduler=SchedulerSettings(policy=policy))
    gateway = Gateway(settings, pool=EnginePool(engine), predictor=predictor)  # type: ignore
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    return gateway


def ask(gateway: Gateway, text: str) -> asyncio.Task:
    return asyncio.ensure_future(
        client_of(gateway).completions.create(model="counter", prompt=text, max_tokens=3)
    )


@pytest.mark.parametrize("policy", ["sjf", "ltr"])
async def test_who_waits_is_ranked_by_its_prompt(stack, engine, policy) -> None:
    gateway = await gateway_with(stack, engine, Reader(), policy)
    scheduler = gateway.dispatcher.scheduler
    first = ask(gateway, "3")
    await until(lambda: engine.running == 1)
    asked = [ask(gateway, text) for text in ("9", "2", "6")]
    await until(lambda: gateway._foresight.predicted == 4)
    waiting = [r for r in scheduler.requests.values() if r.id not in _running(scheduler)]
    works = gateway.dispatcher.works.values()
    scores = {bytes(work.generation.body["prompt"]): work.request.score for work in works}
    assert len(waiting) == 3
    assert scores[b'"2"'] < scores[b'"6"'] < scores[b'"9"']
    engine.allow()
    await asyncio.gather(first, *asked)


async def test_nothing_is_predicted_while_nobody_waits(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "sjf")
    engine.allow()
    await ask(gateway, "3")
    assert gateway._foresight.predicted == 0


async def test_a_broken_predictor_fails_no_request(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(broken=True), "srpt")
    tasks = [ask(gateway, "5") for _ in range(4)]
    await until(lambda: gateway._foresight.failed == 4)
    engine.allow()
    for answer in await asyncio.gather(*tasks):
        assert answer.choices[0].text == "0 1 2 "


def _running(scheduler) -> set[str]:
    return {name for backend in scheduler.backends.values() for name in backend.running}
