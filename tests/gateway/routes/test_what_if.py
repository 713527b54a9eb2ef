"""What if, over HTTP: progress and answer as events, one question at a time, for admins only."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import Serve, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.routes.test_console import ADMIN, LOOKER, TEAM, sign_in
from tests.lab.simulation.what_if.logs import busy, written

from headway.core.settings import SchedulerSettings
from headway.gateway.server import Gateway
from headway.store.request_log import RequestLog

WHAT_IF = "/console/api/what-if"
FCFS = SchedulerSettings(policy="fcfs")
POLICIES: dict[str, Any] = {"about": "policies", "policies": ["srpt"]}
TRACE = "arrival_s,prompt_tokens,output_tokens\n" + "".join(
    f"{number / 10},20,{5 + number % 50}\n" for number in range(100)
)


@pytest.fixture
async def gateway(serve: Serve, log: RequestLog) -> Gateway:
    written(log.path, busy(200))
    keys = (ADMIN, LOOKER, TEAM)
    return await serve(ExactEngine(slots=4), request_log=log, keys=keys, scheduler=FCFS)


@asynccontextmanager
async def asking(
    gateway: Gateway, ask: dict[str, Any], key: str = "admin-key", body: str = ""
) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {"Authorization": f"Bearer {key}"}
    url, query = gateway.address + WHAT_IF, {"ask": json.dumps(ask)}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, params=query, data=body.encode(), headers=headers) as answer,
    ):
        yield answer


async def events(answer: aiohttp.ClientResponse) -> list[Any]:
    assert answer.status == 200, await answer.text()
    lines = (await answer.text()).splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def asked(gateway: Gateway, ask: dict[str, Any], **options: Any) -> list[Any]:
    async with asking(gateway, ask, **options) as answer:
        return await events(answer)


async def test_how_far_it_is_then_the_answer_and_its_report(gateway: Gateway) -> None:
    *progress, last = await asked(gateway, POLICIES)
    assert progress[0]["doing"] == "reading the traffic and fitting the engine"
    assert progress[-1]["doing"] == "simulating" and 0.0 < progress[-1]["share"] <= 1.0
    assert last["found"]["answer"][0].startswith("srpt pays")
    log = gateway._log_path
    assert last["found"]["command"] == (
        f"headway simulate {log} --last 60min --profile {log} --policies fcfs,srpt --slots 4"
    )
    report = f"{gateway.address}{WHAT_IF}/report"
    headers = {"Authorization": "Bearer wall-key"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(report, params={"number": last["number"]}) as answer:
            assert last["found"]["answer"][0] in await answer.text()
            assert "sandbox" in answer.headers["Content-Security-Policy"]
        query = {"number": last["number"], "download": ""}
        async with http.get(report, params=query) as answer:
            assert "attachment" in answer.headers["Content-Disposition"]
        async with http.get(report, params={"number": last["number"] + 1}) as answer:
            assert answer.status == 404 and "only the last one is kept" in await answer.text()


async def test_a_tenant_s_key_asks_nothing_and_a_read_only_admin_may(gateway: Gateway) -> None:
    async with asking(gateway, POLICIES, "team-key") as answer:
        assert answer.status == 403
    for path in (WHAT_IF, f"{WHAT_IF}/report?number=1"):
        headers = {"Authorization": "Bearer team-key"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(gateway.address + path) as answer,
        ):
            assert answer.status == 403
    assert "found" in (await asked(gateway, POLICIES, key="wall-key"))[-1]


async def test_another_site_cannot_make_a_browser_ask(gateway: Gateway) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        csrf = await sign_in(gateway, browser, "wall-key")
        url, query = gateway.address + WHAT_IF, {"ask": '{"about": "engines", "slo": "p99=60s"}'}
        async with browser.post(url, params=query) as answer:
            assert answer.status == 403
        async with browser.post(url, params=query, headers={"x-csrf-token": csrf}) as answer:
            assert "found" in (await events(answer))[-1]


async def test_one_question_at_a_time_and_leaving_ends_the_process(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    long = {"about": "settings", "slo": "latency_p99=1ms,latency_mean=1s", "policies": ["srpt"]}
    async with asking(gateway, long) as answer:
        assert "doing" in (await answer.content.readline()).decode()
        assert len(children()) == 1 and list(tmp_path.glob("headway-what-if-*"))
        async with asking(gateway, POLICIES, "wall-key") as other:
            assert other.status == 409
            message = (await other.json())["error"]["message"]
            assert message.startswith("Key ops asked something ")
    await until(lambda: not children())
    await until(lambda: not list(tmp_path.glob("headway-what-if-*")))
    assert "found" in (await asked(gateway, POLICIES))[-1]


def children() -> list[str]:
    """Processes of this one that answer a question."""
    found = []
    ended = (FileNotFoundError, ProcessLookupError)  # a thread or a child, since it was listed
    for task in Path("/proc/self/task").iterdir():
        with suppress(*ended):
            for child in (task / "children").read_text().split():
                with suppress(*ended):
                    if b"what-if" in Path("/proc", child, "cmdline").read_bytes():
                        found.append(child)
    return found


async def test_a_trace_of_one_s_own_under_its_own_name(gateway: Gateway) -> None:
    ask = POLICIES | {"file": "../my trace.csv", "profile": "smollm2-135m-2-cores"}
    last = (await asked(gateway, ask, body=TRACE))[-1]
    assert last["found"]["notes"][0] == "100 requests over 9.90 s from __my_trace.csv."
    assert last["found"]["command"].startswith("headway simulate __my_trace.csv --profile smollm2")


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("numpy.py", "raise SystemExit('it ran')", "numpy.py "),
        ("x.csv.gz", "no gzip", "x.csv.gz "),
        ("x.db", "no database", "x.db "),
        ("x.csv", TRACE + "1,2\n", "x.csv, row 101: 2 values for 3 columns; leave cells empty"),
    ],
)
async def test_a_file_that_is_no_trace_is_refused_with_the_reason(
    name: str, body: str, why: str, gateway: Gateway
) -> None:
    ask = POLICIES | {"file": name, "profile": "smollm2-135m-2-cores"}
    message = (await asked(gateway, ask, body=body))[-1]["error"]["message"]
    assert message.startswith(why) and message.endswith("."), message
    assert "headway-what-if" not in message and "it ran" not in message


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        ({}, 400),
        ({"about": "nosuch"}, 400),
        (POLICIES | {"window_s": 0}, 400),
        (POLICIES | {"slots": [0]}, 400),
        (POLICIES | {"policies": ["srpt+trained:/etc/passwd"]}, 400),
        (POLICIES | {"file": "empty.csv"}, 400),
    ],
)
async def test_a_question_that_is_none_is_refused(
    ask: dict[str, Any], status: int, gateway: Gateway
) -> None:
    async with asking(gateway, ask) as answer:
        assert answer.status == status, await answer.text()


async def test_a_file_is_as_large_as_any_body_may_be(serve: Serve, log: RequestLog) -> None:
    gateway = await serve(ExactEngine(), request_log=log, max_body_bytes=1024)
    async with asking(gateway, POLICIES | {"file": "x.csv"}, body="x" * 1025) as answer:
        assert answer.status == 413


async def test_why_there_is_no_answer_is_said(serve: Serve, log: RequestLog) -> None:
    gateway = await serve(ExactEngine(), request_log=log)
    message = (await asked(gateway, POLICIES))[-1]["error"]["message"]
    assert message.endswith("holds no request that was answered in full.")
    without = await serve(ExactEngine())
    message = (await asked(without, POLICIES))[-1]["error"]["message"]
    assert message.startswith("This gateway keeps no request log")
