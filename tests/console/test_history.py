"""The page History: figures, requests page by page, one request's life; and hostile text."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.console.conftest import OpenConsole
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine
from tests.store.history.rows import fill, record

from headway.store.history.life import Life, Run
from headway.store.request_log import RequestLog

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="document.title=1">\u202eevil\U0001f980'
DASH = "\u2013"
TEAM = '<b onclick="x()">\u05e9\u05dc\u05d5\u05dd\U0001f980'


def filled(log: RequestLog, count: int = 60, **changes: Any) -> None:
    """Requests a minute apart until now, of two tenants; each tenth failed."""
    now_s = time.time()
    records = [
        record(
            number,
            **{
                "arrival_unix_s": now_s - 60.0 * (count - number),
                "tenant": TEAM if number % 2 else "acme",
                "outcome": "finished" if number % 10 else "failed",
                "reason": "" if number % 10 else "backend_failed",
                "total_ms": 100.0 * (number + 1),
                "cost": 0.0001,
            }
            | changes,
        )
        for number in range(count)
    ]
    fill(log, records, now_s)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}])
async def test_anybody_can_use_it(
    look: dict[str, bool], serve: Serve, log: RequestLog, open_console: OpenConsole, axe: str
) -> None:
    filled(log)
    gateway = await serve(ExactEngine(), request_log=log)
    console = await open_console(gateway, "#/history?by=tenant", **look)
    await console.page.locator(".requests tbody tr").nth(49).wait_for()
    await console.page.locator(".charts canvas").nth(3).wait_for()
    assert await console.violations(axe) == []
    await console.page.locator(".requests tbody tr a").first.click()
    await console.see("Prediction and truth")
    assert await console.violations(axe) == []


async def test_pages_filters_and_back(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    filled(log)
    gateway = await serve(ExactEngine(), request_log=log)
    console = await open_console(gateway, "#/history")
    rows = console.page.locator(".requests tbody tr")
    await rows.nth(49).wait_for()
    await console.press("Older")
    await console.see("page 2")
    await rows.nth(10).wait_for(state="detached")
    assert await rows.count() == 10
    await console.press("Newer")
    await rows.nth(49).wait_for()
    await console.page.get_by_label("Outcome").select_option("failed")
    await rows.nth(49).wait_for(state="detached")
    assert await rows.count() == 6
    assert "outcome=failed" in console.page.url
    await console.page.get_by_label("Seconds").fill("4.1")
    await console.page.get_by_label("Seconds").press("Enter")
    await console.see("Figures are not narrowed down by slowness")
    await rows.nth(2).wait_for(state="detached")
    assert "backend_failed" in await rows.first.inner_text()
    await rows.first.get_by_role("link").click()
    await console.see("One request")
    await console.page.get_by_role("link", name="Back to all requests").click()
    await console.see("Figures are not narrowed down by slowness")


async def test_the_slowest_is_found_and_one_by_its_id(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    filled(log)  # the newest one takes longest
    gateway = await serve(ExactEngine(), request_log=log)
    console = await open_console(gateway, "#/history")
    await console.page.get_by_label("Order").select_option("slowest first")
    await console.page.get_by_role("button", name="Older").wait_for(state="detached")
    await console.page.locator(".requests tbody tr a").first.click()
    await console.see("req-59")
    await console.page.go_back()
    await console.page.get_by_label("Request", exact=True).fill("req-7")
    await console.page.get_by_label("Request", exact=True).press("Enter")
    await console.see("One request")
    assert "id=req-7" in console.page.url


async def test_a_life_with_a_preemption_is_told(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    runs = (
        Run("gpu-1", 40.0, 90.0, 200.0, "preempted", 7),
        Run("gpu-2", 300.0, 320.0, 500.0, "finished", 20),
    )
    now_s = time.time()
    before = record(2, arrival_unix_s=now_s - 1.0, tier="interactive", queue_ms=1002.0)
    fill(log, [before, record(3, arrival_unix_s=now_s - 0.1)], now_s)
    log.write(
        record(1, id="req-a", arrival_unix_s=now_s, preemptions=1),
        None,
        Life("chat/completions", True, "prompt", 12, 40, traceparent="00-ab", runs=runs),
    )
    gateway = await serve(ExactEngine(), request_log=log)
    while not log.written:
        time.sleep(0.001)
    console = await open_console(gateway, "#/history?id=req-a")
    await console.see("preempted for another request")
    phases = await console.page.locator(".stretches tbody th").all_inner_texts()
    assert phases == ["queued", "prefill", "decode", "stopped", "prefill", "decode"]
    await console.see(f"25 output tokens (80%: 12{DASH}40), before the first, from its prompt")
    await console.see("20 tokens, within the interval")
    await console.see("It waited 140 ms")  # what it was stopped included
    await console.see("1 other ran when it came; before it began 1 of higher tiers.")


async def test_what_did_not_happen_is_not_told(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    unscheduled: Any = {"policy": "", "backend": "", "queue_ms": None, "ttft_ms": None}
    told = "The model 'nosuch' does not exist; there are: counter."
    refused = {**unscheduled, "total_ms": None, "outcome": "rejected", "reason": "model_not_found"}
    log.write(record(1, id="embedded", **unscheduled))
    log.write(record(2, id="refused", **refused), life=Life(message=told))
    why = "runs on an engine that cannot continue from token ids"
    log.write(record(3, id="whole", reason=why), life=Life("chat/completions", whole=True))
    gateway = await serve(ExactEngine(), request_log=log)
    while log.written < 3:
        time.sleep(0.001)
    console = await open_console(gateway, "#/history?id=embedded")
    await console.see("It waited for a batch and ran in it: 500 ms together, in tier standard.")
    console = await open_console(gateway, "#/history?id=refused")
    await console.see(f"Its client was told: {told}")
    console = await open_console(gateway, "#/history?id=whole")
    await console.see(f"not possible: it {why}")
    assert await console.page.locator(".stretches tbody th").all_inner_texts() == [
        "queued",
        "running",
    ]


async def test_hostile_text_is_text_and_a_megabyte_does_not_freeze_it(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    prompt = HOSTILE + "[](" * 1000 + "x" * 1_000_000
    filled(log, 1, tenant=HOSTILE, model=HOSTILE, program=HOSTILE, reason=HOSTILE, prompt=prompt)
    gateway = await serve(ExactEngine(), request_log=log)
    console = await open_console(gateway, "#/history?by=model")
    await console.page.locator(".requests tbody tr a").first.click()
    await console.see("20,000 of 1,003,0")
    await console.press("Show more")
    await console.see("40,000 of 1,003,0")
    assert await console.page.title() == "History · Headway"
    assert await console.page.locator("main img").count() == 0
    took_ms = await console.page.evaluate(
        "new Promise(done => { const began = performance.now(); requestAnimationFrame("
        "() => setTimeout(() => done(performance.now() - began))) })"
    )
    assert took_ms < 1000


async def test_without_a_log_it_says_so(serve: Serve, open_console: OpenConsole) -> None:
    console = await open_console(await serve(ExactEngine()), "#/now")
    await console.page.goto(f"{console.gateway.address}/console#/history")
    await console.see("This gateway keeps no history")
    console.complaints.clear()  # the browser notes the 404 by itself
