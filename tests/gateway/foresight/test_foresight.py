"""Predictions beside the event loop: never waited for, never in the way."""

from __future__ import annotations

import asyncio
import random
import threading

import aiohttp
import msgspec
import pytest
from tests.gateway.conftest import ask, client_of, until
from tests.gateway.doubles import EnginePool, ExactEngine, Reader
from tests.prediction.conftest import live_predictor

from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Request, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import PreemptionSettings, SchedulerSettings
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.gateway.work.work import Work
from headway.prediction.live.history import LengthHistory, Origin
from headway.prediction.live.live_predictor import Reading
from headway.prediction.live.watch import Watch
from headway.prediction.models.refinement import CUTS
from headway.prediction.texts.prompt import Prompt


@pytest.fixture
async def engine() -> ExactEngine:
    return ExactEngine()


async def gateway_with(
    stack,
    engine: ExactEngine,
    predictor: Reader,
    policy: str,
    history: LengthHistory | None = None,
    **scheduling,
) -> Gateway:
    settings = GatewaySettings(port=0, scheduler=SchedulerSettings(policy=policy, **scheduling))
    pool = EnginePool(engine)
    gateway = Gateway(settings, pool=pool, predictor=predictor, history=history)  # type: ignore
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    return gateway


def works_of(gateway: Gateway) -> dict[str, Work]:
    """Every live one by its prompt."""
    works = gateway.dispatcher.works.values()
    return {msgspec.json.decode(work.fields["prompt"]): work for work in works}


async def one_runs_and_one_waits(stack, engine) -> tuple[Gateway, asyncio.Task, asyncio.Task]:
    """A long request that runs and a short one behind it, both predicted."""
    gateway = await gateway_with(stack, engine, Reader(), "fcfs")
    long = ask(gateway, "10", max_tokens=64)
    await until(lambda: engine.running == 1)
    short = ask(gateway, "9")
    await until(lambda: gateway._foresight.predicted == 2)
    return gateway, long, short


def waiting(name: str, score: float, live, scheduler: Scheduler) -> Work:
    """One that waits, and was predicted before."""
    request = Request(name, 0.0, 5, SizeEstimate.exactly(5), lane="m")
    work = Work(request, "completion", "", Origin("m"), b"", {})
    work.predicted.forecast = live.forecast(
        Reading(score, live.predictor_of("m").calibration), work.origin
    )
    scheduler.add(request, 0.0)
    return work


class Watched:
    """A foresight whose watch sees what a test says."""

    def __init__(self, policy: str, fallback: str = "fcfs") -> None:
        self.scheduler = Scheduler(SchedulerSettings(policy=policy))
        self.live = live_predictor(Reader())  # type: ignore[arg-type]
        self.works: dict[str, Work] = {}
        choice = PolicyChoice(self.scheduler, Watch(), fallback, lambda: 0.0)
        self.foresight = Foresight(self.scheduler, self.works, lambda: 0.0, self.live, choice)
        self._rng = random.Random(4)

    def finished(self, score: float, output_tokens: int) -> None:
        request = Request("r", 0.0, 5, SizeEstimate.exactly(5))
        work = Work(request, "completion", "", Origin("m"), b"", {})
        work.served.billed_tokens = output_tokens
        work.predicted.forecast = self.live.forecast(
            Reading(score, self.live.predictor_of("m").calibration), Origin("m")
        )
        self.foresight.ended(work)

    def proves_bad(self) -> None:
        for _ in range(200):
            self.finished(self._rng.uniform(3.0, 9.0), self._rng.randrange(8, 512))
        assert not self.foresight.watch.trusted

    def proves_good(self) -> None:
        for _ in range(200):
            score = self._rng.uniform(3.0, 9.0)
            self.finished(score, round(2.0**score))
        assert self.foresight.watch.trusted


@pytest.mark.parametrize("policy", ["sjf", "ltr"])
async def test_who_waits_is_ranked_by_its_prompt(stack, engine, policy) -> None:
    gateway = await gateway_with(stack, engine, Reader(), policy)
    scheduler = gateway.dispatcher.scheduler
    first = ask(gateway, "3")
    await until(lambda: engine.running == 1)
    asked = [ask(gateway, text) for text in ("9", "2", "6")]
    await until(lambda: gateway._foresight.predicted == 4)
    waits = [r for r in scheduler.requests.values() if r.id not in _running(scheduler)]
    works = gateway.dispatcher.works.values()
    scores = {bytes(work.generation.body["prompt"]): work.request.score for work in works}
    assert len(waits) == 3
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
    work = next(w for w in gateway.dispatcher.works.values() if w.request.backend)
    before = work.request.estimate
    engine.allow(CUTS[0])
    await until(lambda: foresight.refined == 1)
    assert work.request.estimate != before
    assert work.request.estimate.tokens[0] > CUTS[0]
    assert [look.output_tokens for look in work.predicted.looks] == [CUTS[0]]
    assert scheduler.waiting() == 1
    engine.allow()
    await asyncio.gather(long, short)
    await until(lambda: "counter" in foresight.live._corrections)


async def test_nothing_is_predicted_while_nobody_waits(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "sjf")
    engine.allow()
    await ask(gateway, "3")
    assert gateway._foresight.predicted == 0


@pytest.mark.parametrize("policy", ["sjf", "srpt", "ltr", "trail", "gittins", "hrrn"])
def test_an_order_worth_nothing_is_found_out_and_fcfs_takes_over(caplog, policy) -> None:
    watched = Watched(policy)
    watched.proves_bad()
    assert watched.scheduler.policy_name == "fcfs"
    assert f"policy {policy} -> fcfs" in caplog.text
    watched.proves_good()
    assert watched.scheduler.policy_name == policy
    assert f"policy fcfs -> {policy}" in caplog.text


@pytest.mark.parametrize("policy", ["fcfs", "edf", "slack", "priority", "mlfq"])
def test_an_order_by_something_else_than_lengths_stays(caplog, policy) -> None:
    watched = Watched(policy, fallback="gittins")
    watched.proves_bad()
    assert watched.scheduler.policy_name == policy
    assert "not trusted any more" in caplog.text and "->" not in caplog.text
    watched.proves_good()
    assert watched.scheduler.policy_name == policy


def test_every_policy_by_lengths_has_one_to_fall_back_to() -> None:
    assert not [name for name, one in POLICIES.items() if one.needs_predictor and not one.by_length]
    assert not POLICIES["fcfs"].by_length


def test_what_waits_goes_by_history_while_predictions_are_worth_nothing() -> None:
    watched = Watched("srpt", fallback="gittins")
    works = [waiting(str(score), score, watched.live, watched.scheduler) for score in (9.0, 3.0)]
    watched.works |= {work.request.id: work for work in works}
    long, short = (work.request for work in works)
    watched.proves_bad()
    assert long.estimate == short.estimate == works[0].predicted.forecast.of_history
    assert long.score is None
    assert watched.scheduler.waiting() == 2

    # Both were foretold while nobody believed it.
    watched.proves_good()
    assert long.estimate.mean > 2.0 * short.estimate.mean
    assert long.score > short.score


async def test_a_score_counts_no_tokens_beyond_the_limit(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "ltr")
    first = ask(gateway, "1")
    await until(lambda: engine.running == 1)
    asked = [ask(gateway, "9", max_tokens=1), ask(gateway, "4", max_tokens=2_000)]
    asked += [ask(gateway, "4.0", max_tokens=1_000_000)]
    await until(lambda: gateway._foresight.predicted == 4)
    works = works_of(gateway)
    essay, brief, unlimited = (works[prompt] for prompt in ("9", "4", "4.0"))
    assert essay.request.score == 0.0
    assert essay.request.score < brief.request.score
    assert unlimited.request.score == unlimited.predicted.forecast.score
    assert brief.request.score == pytest.approx(unlimited.request.score, abs=0.01)
    for task in (first, *asked):
        task.cancel()
    await asyncio.gather(first, *asked, return_exceptions=True)


async def test_answers_cut_off_early_teach_no_lengths(stack, engine) -> None:
    history = LengthHistory()
    gateway = await gateway_with(stack, engine, Reader(), "fcfs", history=history)
    engine.allow()
    for _ in range(10):
        await ask(gateway, "3")
    gateway._accounts.flush()
    assert history.estimate(Origin("counter"), None).quantile(0.5) == 128


async def test_a_prompt_is_read_once_and_never_on_the_event_loop(
    stack, engine, monkeypatch
) -> None:
    read: list[threading.Thread] = []
    from_fields = Prompt.from_fields

    def noted(kind: str, fields) -> Prompt:
        read.append(threading.current_thread())
        return from_fields(kind, fields)

    monkeypatch.setattr(Prompt, "from_fields", noted)
    gateway, long, short = await one_runs_and_one_waits(stack, engine)
    foresight = gateway._foresight
    for cut in range(3):
        engine.allow(CUTS[cut] - (CUTS[cut - 1] if cut else 0))
        await until(lambda cut=cut: foresight.refined == cut + 1)
    assert len(read) == 2
    assert threading.current_thread() not in read
    engine.allow()
    await asyncio.gather(long, short)


async def test_who_comes_shortly_after_another_is_read_with_it() -> None:
    """A batch costs little more than one prompt."""
    reader = Reader()
    live = live_predictor(reader)  # type: ignore[arg-type]
    scheduler = Scheduler(SchedulerSettings(policy="fcfs"))
    works = {}
    choice = PolicyChoice(scheduler, Watch(), "fcfs", lambda: 0.0)
    foresight = Foresight(scheduler, works, lambda: 0.0, live, choice)
    foresight.start()
    for number in range(5):
        prompt = {"prompt": msgspec.Raw(f'"{number}"'.encode())}
        request = Request(f"r{number}", 0.0, 5, SizeEstimate.exactly(5), lane="m")
        scheduler.add(request, 0.0)
        works[request.id] = work = Work(request, "completion", "", Origin("m"), b"", prompt)
        foresight.contended([work])
    await until(lambda: foresight.predicted == 5)
    await foresight.close()
    assert reader.asked == [["0", "1", "2", "3", "4"]]


async def test_whoever_must_wait_again_is_predicted_too(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "fcfs")
    alone = ask(gateway, "9", max_tokens=64)
    await until(lambda: engine.running == 1)
    gateway.pool.set("exact", healthy=False)
    await until(lambda: gateway._foresight.predicted == 1)
    assert works_of(gateway)["9"].predicted.forecast is not None
    gateway.pool.set("exact")
    engine.allow()
    await alone


async def test_who_is_stopped_for_a_newcomer_is_predicted_and_the_newcomer_too(
    stack, engine
) -> None:
    eager = PreemptionSettings(min_run_s=0.0)
    gateway = await gateway_with(stack, engine, Reader(), "fcfs", preemption=eager)
    lazy = ask(gateway, "9", max_tokens=64, extra_body={"service_tier": "flex"})
    engine.allow(1)
    await until(lambda: "9" in works_of(gateway) and works_of(gateway)["9"].output_tokens == 1)
    urgent = ask(gateway, "2", extra_body={"service_tier": "priority"})
    await until(lambda: gateway._foresight.predicted == 2)
    works = works_of(gateway)
    assert works["2"].request.tier is Tier.INTERACTIVE and works["2"].request.backend
    assert not works["9"].request.backend
    engine.allow()
    await asyncio.gather(lazy, urgent)


async def test_what_is_told_afterwards_was_known_before_the_answer(stack, engine) -> None:
    gateway, long, short = await one_runs_and_one_waits(stack, engine)
    foresight = gateway._foresight
    expected = works_of(gateway)["10"].request.estimate.mean
    engine.allow(CUTS[0])
    await until(lambda: foresight.refined == 1)
    assert works_of(gateway)["10"].request.estimate.mean != pytest.approx(expected, abs=0.1)
    engine.allow()
    answer = await long
    assert answer.usage.headway["predicted_tokens"] == pytest.approx(expected, abs=0.1)
    await short


async def test_a_broken_predictor_fails_no_request(stack, engine, caplog) -> None:
    gateway = await gateway_with(stack, engine, Reader(broken=True), "srpt")
    tasks = [ask(gateway, "5") for _ in range(4)]
    await until(lambda: gateway._foresight.failed == 4)
    engine.allow()
    for answer in await asyncio.gather(*tasks):
        assert answer.choices[0].text == "0 1 2 "
    told = [record for record in caplog.records if "the predictor failed" in record.message]
    assert [record.exc_info is not None for record in told] == [True, False, False, False]


async def test_one_prompt_that_cannot_be_read_costs_no_other_its_prediction(stack, engine) -> None:
    reader = Reader()
    gateway = await gateway_with(stack, engine, reader, "srpt")
    running = ask(gateway, "3")
    await until(lambda: engine.running == 1)
    reader.open.clear()
    asked = [ask(gateway, "4")]
    await until(lambda: len(reader.asked) == 1)
    asked += [ask(gateway, text) for text in ("9", "nonsense", "2")]
    await until(lambda: gateway.dispatcher.scheduler.waiting() == 4)
    reader.open.set()
    foresight = gateway._foresight
    await until(lambda: foresight.predicted + foresight.failed == 5)
    assert foresight.failed == 1
    assert set(reader.asked[-4]) == {"9", "nonsense", "2"}
    assert {prompt for (prompt,) in reader.asked[-3:]} == {"9", "nonsense", "2"}
    engine.allow()
    await asyncio.gather(running, *asked)


async def test_who_is_gone_by_then_is_not_read(stack, engine) -> None:
    reader = Reader()
    gateway = await gateway_with(stack, engine, reader, "srpt")
    running = ask(gateway, "3")
    await until(lambda: engine.running == 1)
    reader.open.clear()
    waits = ask(gateway, "4")
    await until(lambda: len(reader.asked) == 1)
    gone, stays = ask(gateway, "9"), ask(gateway, "2")
    await until(lambda: gateway.dispatcher.scheduler.waiting() == 3)
    gone.cancel()
    await until(lambda: gateway.dispatcher.scheduler.waiting() == 2)
    reader.open.set()
    await until(lambda: gateway._foresight.predicted == 3)
    assert not [prompts for prompts in reader.asked if "9" in prompts]
    engine.allow()
    await asyncio.gather(running, waits, stays)


async def test_who_only_wanted_to_know_and_has_left_is_not_asked_about(stack, engine) -> None:
    reader, asked = Reader(), []
    foresight = (await gateway_with(stack, engine, reader, "srpt"))._foresight
    foresight._ask_model = lambda work, _: asked.append(work)
    reader.open.clear()
    request = Request("gone", 0.0, 5, SizeEstimate.exactly(5), lane="counter")
    gone = Work(
        request, "completion", "/v1/completions", Origin("counter"), b"", {"prompt": b'"9"'}
    )
    wants_to_know = asyncio.create_task(foresight.estimate(gone))
    await until(lambda: len(reader.asked) == 1)
    wants_to_know.cancel()
    await asyncio.gather(wants_to_know, return_exceptions=True)
    reader.open.set()
    await until(lambda: foresight.predicted == 1)
    assert not asked


async def test_the_number_that_trust_goes_by_is_a_metric(stack, engine) -> None:
    gateway = await gateway_with(stack, engine, Reader(), "srpt")
    watch = gateway._foresight.watch
    for number in range(100):
        length = 3.0 + number % 6
        watch.observe("counter", length, SizeEstimate.exactly(8), round(2.0**length))
    session = await stack.enter_async_context(aiohttp.ClientSession())
    async with session.get(gateway.address + "/metrics") as answer:
        assert "headway_prediction_tau_of_all 1.0" in await answer.text()


def _running(scheduler) -> set[str]:
    return {name for backend in scheduler.backends.values() for name in backend.running}
