"""Predictions beside the event loop: never waited for, never in the way."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.gateway.conftest import client_of, until
from tests.gateway.doubles import EnginePool, ExactEngine
from tests.prediction.conftest import live_predictor

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.gateway.foresight import Foresight
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.gateway.work import Work
from headway.prediction.bins import BIN_TOKENS, bin_of
from headway.prediction.history import Origin
from headway.prediction.live import Reading
from headway.prediction.refinement import CUTS
from headway.prediction.watch import Watch


class Reader:
    """A predictor that goes by the number in the prompt."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.calibration = self

    def scores(self, prompts):
        if self.broken:
            raise RuntimeError("no idea")
        return [float(prompt.text) for prompt in prompts]

    def estimate(self, score: float) -> SizeEstimate:
        place = bin_of(round(2.0**score))
        return SizeEstimate(BIN_TOKENS, [0.5 ** abs(n - place) for n in range(len(BIN_TOKENS))])


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


async def test_whoever_runs_is_foreseen_anew_by_what_there_is_of_its_answer(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "srpt")
    client = client_of(gateway)
    long = asyncio.ensure_future(
        client.completions.create(model="counter", prompt="10", max_tokens=64)
    )
    await until(lambda: engine.running == 1)
    short = ask(gateway, "9")
    foresight, scheduler = gateway._foresight, gateway.dispatcher.scheduler
    await until(lambda: foresight.predicted == 2)
    work = next(w for w in gateway.dispatcher.works.values() if w.backend)
    before = work.request.estimate
    engine.allow(CUTS[0])
    await until(lambda: foresight.refined == 1)
    assert work.request.estimate != before
    assert work.request.estimate.tokens[0] > CUTS[0]
    assert [look.output_tokens for look in work.looks] == [CUTS[0]]
    assert scheduler.waiting() == 1
    engine.allow()
    await asyncio.gather(long, short)
    await until(lambda: "counter" in foresight.live._corrections)


async def test_nothing_is_predicted_while_nobody_waits(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "sjf")
    engine.allow()
    await ask(gateway, "3")
    assert gateway._foresight.predicted == 0


def test_an_order_worth_nothing_is_found_out_and_fcfs_takes_over(caplog) -> None:
    scheduler = Scheduler(SchedulerSettings(policy="srpt"))
    live = live_predictor(Reader())  # type: ignore[arg-type]
    foresight = Foresight(scheduler, lambda: 0.0, live, Watch(), "fcfs")
    rng = random.Random(4)

    def finished(score: float, output_tokens: int) -> None:
        request = Request("r", 0.0, 5, SizeEstimate.exactly(5))
        work = Work(request, "completion", "", Origin("m"), b"", {}, output_tokens=output_tokens)
        work.forecast = live.forecast(Reading(score, live.predictor_of("m")), Origin("m"))
        foresight.ended(work)

    for _ in range(200):
        finished(rng.uniform(3.0, 9.0), rng.randrange(8, 512))
    assert scheduler.policy_name == "fcfs"
    assert "policy srpt -> fcfs" in caplog.text
    for _ in range(200):
        score = rng.uniform(3.0, 9.0)
        finished(score, round(2.0**score))
    assert scheduler.policy_name == "srpt"


async def test_a_broken_predictor_fails_no_request(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(broken=True), "srpt")
    tasks = [ask(gateway, "5") for _ in range(4)]
    await until(lambda: gateway._foresight.failed == 4)
    engine.allow()
    for answer in await asyncio.gather(*tasks):
        assert answer.choices[0].text == "0 1 2 "


def _running(scheduler) -> set[str]:
    return {name for backend in scheduler.backends.values() for name in backend.running}
