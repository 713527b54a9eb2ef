"""What requests cost, run by run."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, until
from tests.gateway.doubles import work
from tests.gateway.fake_backend import FakeBackend

from headway.engines.activity import Activity
from headway.gateway.money.pricing import Pricing
from headway.gateway.work.work import Work
from headway.prices.hours import HourlyPrice
from headway.prices.table import BackendPrice, Prices
from headway.prices.tokens import TokenPrice
from headway.store.request_log import RequestLog, read

PRICE = TokenPrice(input=1_000.0, output=10_000.0, cached_input=100.0)
"""A token in costs 0.001, one out 0.01, a cached one 0.0001."""


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pricing(clock: Clock) -> Pricing:
    return Pricing(Prices({"counter": PRICE}), clock)


def begun(pricing: Pricing, clock: Clock, one: Work | None = None) -> Work:
    """It has begun on backend `b`, which has computed its prompt of 5 tokens."""
    one = one or work("r")
    one.request.started_s = 0.0
    one.served.backend = "b"
    pricing.begins(one, clock())
    one.turn.begin(Activity(), clock())
    return one


def generated(one: Work, tokens: int) -> None:
    """It has so many output tokens now."""
    one.turn.heard(0.0)
    one.request.output_tokens = tokens
    one.served.prompt_tokens = 5


def test_a_finished_request_costs_its_tokens(pricing: Pricing, clock: Clock) -> None:
    one = begun(pricing, clock)
    generated(one, 20)
    pricing.prefilled(one, 2)
    pricing.stops(one, clock())
    assert pricing.cost(one, "finished") == pytest.approx(0.003 + 0.0002 + 0.2)


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_one_that_ends_early_costs_what_was_generated(
    pricing: Pricing, clock: Clock, outcome: str
) -> None:
    one = begun(pricing, clock)
    generated(one, 7)
    pricing.stops(one, clock())
    assert pricing.cost(one, outcome) == pytest.approx(0.005 + 0.07)  # type: ignore[arg-type]


def test_one_that_failed_without_a_token_or_never_ran_costs_nothing(
    pricing: Pricing, clock: Clock
) -> None:
    assert pricing.cost(work("waits"), "rejected") == 0.0
    one = begun(pricing, clock)
    pricing.stops(one, clock())
    assert pricing.cost(one, "failed") == 0.0


def test_each_run_that_answered_pays_for_the_prompt_it_computed(
    pricing: Pricing, clock: Clock
) -> None:
    one = begun(pricing, clock)
    generated(one, 8)
    pricing.loses(one, clock())  # preempted
    begun(pricing, clock, one)
    pricing.loses(one, clock())  # again, before a token came
    begun(pricing, clock, one)
    pricing.prefilled(one, 10)  # of the 13 that are its prompt now
    generated(one, 20)
    pricing.stops(one, clock())
    first, last = 0.005 + 0.08, 0.003 + 0.001 + 0.12
    assert pricing.cost(one, "finished") == pytest.approx(first + last)


def test_a_run_on_a_backend_without_a_price_makes_the_cost_unknown(clock: Clock) -> None:
    pricing = Pricing(Prices(backends={"b": BackendPrice({"counter": PRICE})}), clock)
    one = begun(pricing, clock)
    generated(one, 8)
    pricing.loses(one, clock())
    one.served.backend = "another"
    pricing.begins(one, clock())
    pricing.stops(one, clock())
    assert pricing.cost(one, "finished") is None


def test_hours_are_shared_by_what_runs_and_count_for_failures_too(clock: Clock) -> None:
    pricing = Pricing(Prices(backends={"b": BackendPrice(hourly=HourlyPrice(36.0))}), clock)
    first, second = begun(pricing, clock), work("second")
    begun(pricing, clock, second)
    clock.now_s = 10.0
    pricing.stops(first, clock())
    clock.now_s = 20.0
    assert pricing.cost(second, "finished") == pytest.approx(0.05 + 0.1)  # while it runs
    pricing.stops(second, clock())
    assert pricing.cost(first, "failed") == pytest.approx(0.05)
    assert pricing.cost(second, "finished") == pytest.approx(0.15)


def test_tokens_of_a_run_under_way_keep_their_price(pricing: Pricing, clock: Clock) -> None:
    one = begun(pricing, clock)
    pricing.use(Prices({"counter": TokenPrice(0.0, 0.0)}))
    generated(one, 20)
    assert pricing.cost(one, "finished") == pytest.approx(0.205)
    assert pricing.cost(begun(pricing, clock), "finished") == 0.0


def test_hours_of_a_run_under_way_get_the_new_price_from_then_on(clock: Clock) -> None:
    hour = Prices(backends={"b": BackendPrice(hourly=HourlyPrice(36.0))})
    pricing = Pricing(hour, clock)
    one = begun(pricing, clock)
    clock.now_s = 10.0
    pricing.use(Prices(backends={"b": BackendPrice(hourly=HourlyPrice(360.0))}))
    clock.now_s = 20.0
    assert pricing.cost(one, "finished") == pytest.approx(0.1 + 1.0)
    pricing.use(Prices())
    clock.now_s = 30.0
    pricing.stops(one, clock())
    assert pricing.cost(one, "finished") == pytest.approx(0.1 + 2.0)


async def test_answers_log_and_metrics_say_what_a_request_cost(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    gateway = await serve(backend, prices=Prices({"fake": PRICE}), request_log=log)
    client = openai.AsyncOpenAI(base_url=f"{gateway.address}/v1", api_key="none")
    whole = await client.chat.completions.with_raw_response.create(model="fake", messages=HELLO)
    assert float(whole.headers["x-headway-cost"]) == pytest.approx(1.007)
    assert whole.parse().usage.headway["cost"] == pytest.approx(1.007)  # type: ignore[union-attr]
    stream = await client.chat.completions.create(
        model="fake", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    last = [chunk async for chunk in stream][-1]
    assert last.usage.headway["cost"] == pytest.approx(1.007)  # type: ignore[union-attr]
    await client.embeddings.create(model="fake", input="a text")
    async with http.get(f"{gateway.address}/metrics") as answer:
        metrics = await answer.text()
    found = float(
        metrics.partition('headway_cost_total{model="fake",tier="standard"} ')[2].split()[0]
    )
    assert found == pytest.approx(2.017)
    log.close()
    assert [one.cost for _, one in read(log.path)] == pytest.approx([1.007, 1.007, 0.003])


async def test_what_has_no_price_costs_an_unknown_amount_and_not_nothing(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    gateway = await serve(backend, prices=Prices({"other": PRICE}), request_log=log)
    asked = {"model": "fake", "messages": HELLO}
    async with http.post(f"{gateway.address}/v1/chat/completions", json=asked) as answer:
        assert "x-headway-cost" not in answer.headers
        assert (await answer.json())["usage"]["headway"]["cost"] is None
    async with http.get(f"{gateway.address}/metrics") as answer:
        metrics = await answer.text()
    assert 'headway_unpriced_requests_total{model="fake",tier="standard"} 1.0' in metrics
    assert "headway_cost_total{" not in metrics
    log.close()
    assert [(one.cost, one.charged_tokens) for _, one in read(log.path)] == [(None, 107)]


async def test_answers_that_break_off_cost_what_came_of_them(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    gateway = await serve(backend, prices=Prices({"fake": PRICE}), request_log=log)
    client = openai.AsyncOpenAI(base_url=f"{gateway.address}/v1", api_key="none", max_retries=0)
    asked = {"model": "fake", "messages": HELLO, "stream": True}
    backend.break_after = 30
    with pytest.raises(openai.APIError):
        async for _ in await client.chat.completions.create(**asked):  # type: ignore[call-overload]
            pass
    backend.break_after, backend.hold_after = None, 50
    stream = await client.chat.completions.create(**asked)  # type: ignore[call-overload]
    for _ in range(40):
        await anext(stream)
    await stream.close()
    await until(lambda: backend.aborted == 1)
    backend.resume.set()
    backend.faults.append((400, {"error": {"message": "no"}}))
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="fake", messages=HELLO)
    await gateway.stop()
    log.close()
    broken, left, refused = (one for _, one in read(log.path))
    assert (broken.outcome, left.outcome, refused.outcome) == ("failed", "cancelled", "failed")
    assert 0.3 <= (broken.cost or 0.0) < 0.35  # thirty tokens, and the prompt
    assert 0.4 <= (left.cost or 0.0) < 0.55
    assert refused.cost == 0.0
