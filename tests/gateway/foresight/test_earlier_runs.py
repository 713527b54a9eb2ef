"""Runs from before a restart, learned from the log as they were learned when they ran."""

import time
from pathlib import Path

import aiohttp
from tests.gateway.conftest import HELLO
from tests.gateway.fake_backend import FakeBackend

from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.engines.endpoint import Endpoint
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.prediction.live.history import Origin
from headway.prediction.live.run_history import IDLE_S, RunHistory
from headway.store.request_log import RequestLog, read
from headway.store.request_record import RequestRecord


def answered(
    run: str, step: str, at_s: float, tokens: int = 50, parents: str = "", took_s: float = 1.0
) -> RequestRecord:
    return RequestRecord(
        id=f"{run}/{step}",
        arrival_unix_s=at_s,
        tier="standard",
        program=run,
        step=step,
        parents=parents,
        model="m",
        prompt_tokens=100,
        output_tokens=tokens,
        total_ms=1000.0 * took_s,
        outcome="finished",
        status=200,
    )


def run_of(run: str, at_s: float) -> list[RequestRecord]:
    """Two branches, of which the second is longer, and what joins them."""
    return [
        answered(run, "first", at_s),
        answered(run, "short", at_s + 1.0, 10, "first"),
        answered(run, "long", at_s + 1.0, 400, "first", took_s=4.0),
        answered(run, "last", at_s + 5.0, 100, "short,long"),
    ]


def recalled(records: list[RequestRecord], now_unix_s: float) -> RunsAhead:
    ahead = RunsAhead(Scheduler(SchedulerSettings()), RunHistory())
    ahead.recall(records, 1000.0, now_unix_s)
    return ahead


def to_come_s(ahead: RunsAhead, step: str, run: str = "new", now_s: float = 1000.0) -> float:
    found = ahead.history.arrived(Origin("m", program=run), step, 1.0, now_s)
    assert found is not None
    return found.quantile(0.5) / 1000.0


def test_what_came_after_each_step_counts_along_the_longest_path() -> None:
    cost = Scheduler(SchedulerSettings()).cost
    prompt_s, token_s = 100 * cost.prefill_s_per_token, cost.decode_s_per_token
    records = [one for n in range(20) for one in run_of(f"run {n}", 10.0 * n)]
    ahead = recalled(records, 200.0 + 2 * IDLE_S)
    after_long_s = prompt_s + 100 * token_s
    after_first_s = prompt_s + 400 * token_s + after_long_s
    for step, expected_s in (("first", after_first_s), ("long", after_long_s)):
        assert 0.7 < to_come_s(ahead, step) / expected_s < 1.4
    assert to_come_s(ahead, "last") < 0.1


def test_a_run_that_goes_on_after_the_restart_ends_where_it_ends() -> None:
    now_unix_s = 1000.0
    ahead = recalled([answered("on", "first", now_unix_s - 5.0, 400)], now_unix_s)
    origin = Origin("m", program="on")
    before_s = ahead.history._runs["", "on"].path_s
    ahead.history.arrived(origin, "second", 1.0, 1000.0)
    ahead.history.left(origin, "second", 2.0, 1001.0)  # the scheduler counts from the restart
    assert ahead.history._runs["", "on"].path_s == before_s + 2.0
    ahead.history.ended(origin)
    assert 0.4 < to_come_s(ahead, "first") < 8.0


def test_the_order_of_the_log_and_odd_rows_do_not_matter() -> None:
    records = [one for n in range(20) for one in run_of(f"run {n}", 10.0 * n)]
    odd = [
        answered("", "no run", 5.0),
        answered("twice", "a", 5.0),
        answered("twice", "a", 5.0, took_s=0.0),
    ]
    later = 200.0 + 2 * IDLE_S
    there, back = recalled(records, later), recalled([*reversed(records), *odd], later)
    assert 0.9 < to_come_s(there, "first") / to_come_s(back, "first") < 1.1


async def test_a_gateway_knows_after_a_restart_what_it_had_learned(
    backend: FakeBackend, tmp_path: Path
) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path, batch_s=0.0)
    endpoint = Endpoint("b", backend.url)
    before = Gateway(GatewaySettings(port=0), [endpoint], request_log=log)
    await before.start()
    async with aiohttp.ClientSession() as client:
        for number in range(20):
            for step in ("draft", "check"):
                headers = {"x-headway-program": f"run {number}", "x-headway-step": step}
                body = {"model": "fake", "messages": HELLO}
                url = f"{before.address}/v1/chat/completions"
                async with client.post(url, json=body, headers=headers) as answer:
                    assert answer.status == 200
    await before.stop()
    log.close()
    records = [record for _, record in read(path)]
    assert len(records) == 40
    learned = before._ahead.history
    for number in range(20):
        learned.ended(Origin(records[0].model, program=f"run {number}"))

    after = Gateway(GatewaySettings(port=0), [endpoint], earlier=records)
    await after.start()
    recalled = after._ahead.history
    for number in range(20):
        recalled.ended(Origin(records[0].model, program=f"run {number}"))
    await after.stop()
    template = int(records[0].template, 16)
    for step in ("draft", "check"):
        new = Origin(records[0].model, "", template, "new")
        now_s = time.monotonic()
        was, found = (one.arrived(new, step, 1.0, now_s) for one in (learned, recalled))
        assert was is not None and found is not None
        assert 0.8 < found.mean / was.mean < 1.25
