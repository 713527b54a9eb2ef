"""A gateway that chooses its policy by itself, from a real request log in a real process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from tests.gateway.doubles import EnginePool, ExactEngine
from tests.lab.simulation.conftest import SMALL, trace
from tests.lab.simulation.served_log import records_of

from headway.core.settings import BoostSettings, SchedulerSettings
from headway.gateway.server import Gateway
from headway.gateway.settings import AutoSettings, GatewaySettings
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.store.request_log import RequestLog

FCFS = SchedulerSettings(policy="fcfs", boost=BoostSettings(tail=3.0))


def busy(requests: int) -> list:
    """The records of traffic at about the capacity of an engine, which fcfs served."""
    rng = np.random.default_rng(2)
    arrival_s = np.cumsum(rng.exponential(0.12, requests))
    lengths = np.exp(rng.normal(3.4, 1.3, requests)).astype(int) + 1
    given = trace(arrival_s - arrival_s[0], lengths, prompt_tokens=8)
    return records_of(given, simulate(given, [Site("exact", SMALL)], FCFS, Oracle(given)))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[RequestLog]:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    yield log
    log.close()


@pytest.fixture
async def gateway(log: RequestLog) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        settings = GatewaySettings(scheduler=FCFS, auto=AutoSettings(), port=0)
        pool = EnginePool(ExactEngine(slots=4))
        gateway = Gateway(settings, pool=pool, request_log=log)  # type: ignore[arg-type]
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        yield gateway


def fill(log: RequestLog, records: list) -> None:
    writer = RequestLog(log.path, batch_s=0.0)
    for record in records:
        writer.write(record)
    writer.close()


async def test_it_takes_the_policy_that_its_own_traffic_would_want(
    gateway: Gateway, log: RequestLog, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fill(log, busy(400))
    advisor = gateway._advisor
    assert advisor is not None
    await advisor.consult()
    assert gateway.dispatcher.scheduler.policy_name == "fcfs", "two replays in a row must agree"
    await advisor.consult()
    chosen = gateway.dispatcher.scheduler.policy_name
    assert chosen != "fcfs" and (advisor.switches, advisor.replays) == (1, 2)
    assert f"policy fcfs -> {chosen}: mean latency" in caplog.text
    await advisor.consult()
    assert advisor.switches == 1, "it does not go to and fro"
    async with http.get(gateway.address + "/v1/headway/policy") as answer:
        view = await answer.json()
    assert (view["policy"], view["automatic"], view["switches"]) == (chosen, True, 1)
    assert {one["policy"] for one in view["advice"]["replayed"]} >= {
        "fcfs",
        "sjf",
        "srpt",
        "hrrn",
        "boost",
    }
    async with http.get(gateway.address + "/metrics") as answer:
        text = await answer.text()
    assert f'headway_policy{{policy="{chosen}"}} 1.0' in text
    assert "headway_policy_switches_total 1.0" in text
    evidence = view["advice"]["evidence"]
    ratio = evidence["replayed_mean_s"] / evidence["served_mean_s"]
    assert ratio == pytest.approx(1.0, abs=0.1)
    assert f"headway_policy_replay_mean_ratio {ratio}" in text


async def test_a_log_of_ten_requests_is_answered_with_a_sentence_once(
    gateway: Gateway, log: RequestLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fill(log, busy(10))
    advisor = gateway._advisor
    assert advisor is not None
    for _ in range(2):
        await advisor.consult()
    assert gateway.dispatcher.scheduler.policy_name == "fcfs"
    said = [record.message for record in caplog.records if "stays" in record.message]
    assert said == [
        "policy fcfs stays: a profile needs 30 answers of one backend, and the log has 10; serve "
        "more requests first"
    ]


async def test_a_clock_that_jumped_breaks_nothing(gateway: Gateway, log: RequestLog) -> None:
    records = busy(400)
    back = [(record, -1e6 if number > 200 else 0.0) for number, record in enumerate(records)]
    fields = type(records[0]).__struct_fields__
    fill(
        log,
        [
            type(one)(
                **{name: getattr(one, name) for name in fields if name != "arrival_unix_s"},
                arrival_unix_s=one.arrival_unix_s + jump_s,
            )
            for one, jump_s in back
        ],
    )
    advisor = gateway._advisor
    assert advisor is not None
    await advisor.consult()
    assert gateway.dispatcher.scheduler.policy_name in ("fcfs", "sjf", "srpt", "hrrn")


async def test_a_gateway_whose_policy_is_set_says_so(
    log: RequestLog, http: aiohttp.ClientSession
) -> None:
    settings = GatewaySettings(scheduler=FCFS, port=0)
    gateway = Gateway(settings, pool=EnginePool(), request_log=log)  # type: ignore[arg-type]
    await gateway.start()
    try:
        async with http.get(gateway.address + "/v1/headway/policy") as answer:
            assert await answer.json() == {
                "policy": "fcfs",
                "automatic": False,
                "switches": 0,
                "advice": None,
            }
    finally:
        await gateway.stop()
