"""The page What if: a question, how far it is, the answer, and what one does with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.console.conftest import Console, OpenConsole
from tests.gateway.conftest import Serve, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.routes.test_what_if import FCFS, TRACE, children
from tests.lab.simulation.what_if.logs import busy, written

from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey
from headway.store.request_log import RequestLog

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="document.title=1">\u202eevil\U0001f980'
ANSWERED_MS = 100_000
"""A replay gets only what others leave of the processor."""


async def gateway_of(serve: Serve, log: RequestLog, **options: object) -> Gateway:
    written(log.path, busy(200))
    return await serve(ExactEngine(slots=4), request_log=log, scheduler=FCFS, **options)


async def answered(console: Console) -> None:
    await console.press("Replay")
    await console.page.locator(".answer, .refused").wait_for(timeout=ANSWERED_MS)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}])
async def test_anybody_can_use_it(
    look: dict[str, bool], serve: Serve, log: RequestLog, open_console: OpenConsole, axe: str
) -> None:
    console = await open_console(await gateway_of(serve, log), "#/what-if", **look)
    await console.page.get_by_label("mlfq").check()
    assert await console.violations(axe) == []
    await answered(console)
    await console.see("Who gains and who loses")
    assert await console.violations(axe) == []
    width = await console.page.evaluate("document.documentElement.scrollWidth")
    assert width <= await console.page.evaluate("innerWidth")


async def test_from_the_question_to_another_policy(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    gateway = await gateway_of(serve, log)
    console = await open_console(gateway, "#/what-if")
    page = console.page
    await answered(console)
    assert (await page.locator(".lead").inner_text()).startswith("srpt pays: its mean latency is ")
    await console.see("It is worse for answers of more than ")
    best = page.locator(".evidence tr", has_text="best")
    assert (await best.locator("th").inner_text()).startswith("srpt")
    await console.see("Engine: exact with 4 slots, fitted to 200 answers in a request log")
    await console.see(f"headway simulate {log.path} --last 60min")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download it").click()
    report = Path(await (await download.value).path()).read_text()
    assert "Headway simulate" in report and "srpt pays" in report
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Open the report").click()
    await (await opened.value).get_by_text("Requests in the system").wait_for()
    await console.press("Switch to srpt")
    await console.press_in_dialog("Switch")
    await console.see("Requests are ordered by srpt now.")
    assert gateway.dispatcher.scheduler.policy_name == "srpt"
    await page.goto(f"{gateway.address}/console#/now")
    await console.see("Running")
    await page.goto(f"{gateway.address}/console#/what-if")
    await console.see("srpt pays")  # the answer is still there


async def test_settings_and_engines_for_an_slo(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    console = await open_console(await gateway_of(serve, log), "#/what-if")
    await console.press("Which settings meet an SLO?")
    await console.page.get_by_label("SLO", exact=True).fill("latency_p50=5s")
    await answered(console)
    await console.see("meets latency_p50=5s (")
    await console.press("How many engines meet an SLO?")
    await console.page.locator("label", has_text="Policy").locator("select").select_option("srpt")
    await answered(console)
    await console.see("to meet latency_p50=5s with srpt.")
    await console.page.get_by_label("SLO", exact=True).fill("nosuch=1s")
    await answered(console)
    await console.see("No SLO 'nosuch'")


async def test_cancelling_and_leaving_end_the_process(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    console = await open_console(await gateway_of(serve, log), "#/what-if")
    progress = console.page.get_by_role("progressbar")
    for leave in (
        lambda: console.press("Cancel"),
        lambda: console.page.get_by_role("link", name="History").click(),
    ):
        await console.press("Replay")
        await progress.wait_for()
        await until(lambda: len(children()) == 1)
        await leave()
        await progress.wait_for(state="detached")
        await until(lambda: not children())
        await console.page.get_by_role("link", name="What if").click()


async def test_a_trace_of_one_s_own_and_one_that_is_none(
    serve: Serve, open_console: OpenConsole
) -> None:
    gateway = await serve(ExactEngine(), scheduler=FCFS, profiles=["smollm2-135m-2-cores"])
    console = await open_console(gateway, "#/what-if")
    await console.see("Choose a profile of an engine: without a request log its own is not known.")
    engine = console.page.locator("label", has_text="Engine").locator("select")
    await engine.select_option("smollm2-135m-2-cores")
    file = console.page.locator("input[type=file]")
    for name, content, seen in (
        (f"{HOSTILE[:6]}.csv", "a,b\n1,2\n", "has no column arrival_s"),
        ("mine.csv", TRACE, "100 requests over 9.90 s from mine.csv."),
    ):
        data = {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
        await file.set_input_files(data)  # type: ignore[arg-type]
        await answered(console)
        await console.see(seen)
    assert await console.page.locator("main img").count() == 0


async def test_hostile_names_are_text(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    gateway = await serve(ExactEngine(slots=4), request_log=log, scheduler=FCFS)
    records = busy(100)
    written(log.path, [*records, *busy(100, tenant=HOSTILE)])
    console = await open_console(gateway, "#/what-if")
    await answered(console)
    await console.see(f"tenant {HOSTILE}")
    assert await console.page.title() == "What if · Headway"
    assert await console.page.locator("main img").count() == 0


async def test_a_tenant_does_not_see_it_and_a_read_only_admin_switches_nothing(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    keys = (
        ApiKey("team", hash_key("team-key")),
        ApiKey("wall", hash_key("wall-key"), admin=True, read_only=True),
    )
    gateway = await gateway_of(serve, log, keys=keys)
    console = await open_console(gateway, "#/what-if")
    await console.sign_in("team-key")
    await console.see("it is for keys with")
    assert await console.page.get_by_role("link", name="What if").count() == 0
    await console.press("Log out")
    await console.sign_in("wall-key")
    await answered(console)
    await console.see("srpt pays")
    assert await console.page.get_by_role("button", name="Switch to srpt").count() == 0
    console.complaints.clear()  # the browser notes the 403 of the tenant by itself


async def test_a_gateway_that_goes_says_so(
    serve: Serve, log: RequestLog, open_console: OpenConsole
) -> None:
    gateway = await gateway_of(serve, log)
    console = await open_console(gateway, "#/what-if")
    await console.press("Replay")
    await console.page.get_by_role("progressbar").wait_for()
    await gateway.stop()
    await console.page.locator(".refused").wait_for()
    assert "ask again" in await console.page.locator(".refused").inner_text()
    console.complaints.clear()  # the browser notes the broken connection by itself
