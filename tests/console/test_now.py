"""The page Now: what it shows, and what an operator does on it."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from tests.console.conftest import OpenConsole
from tests.gateway.conftest import Serve, client_of, until
from tests.gateway.doubles import ExactEngine, work

from headway.core.settings import SchedulerSettings
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings

pytestmark = pytest.mark.asyncio(loop_scope="session")

FCFS = SchedulerSettings(policy="fcfs")
HOSTILE = '<img src=x onerror="document.title=1">\u202eevil\U0001f980'


def ask(gateway: Gateway, tier: str = "default", **headers: str) -> asyncio.Task[Any]:
    client = client_of(gateway)
    return asyncio.ensure_future(
        client.chat.completions.create(
            model="counter",
            messages=[{"role": "user", "content": HOSTILE}],
            max_tokens=9,
            service_tier=tier,  # type: ignore[arg-type]
            extra_headers=headers,
        )
    )


async def queue(gateway: Gateway, waiting: int, **headers: str) -> list[asyncio.Task[Any]]:
    """One request runs, and others wait."""
    tasks = []
    for number in range(waiting + 1):
        tasks.append(ask(gateway, **headers))
        await until(lambda: len(gateway.dispatcher.works) > number)  # noqa: B023
    return tasks


async def done(gateway: Gateway, engine: ExactEngine, tasks: list[asyncio.Task[Any]]) -> None:
    engine.allow()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}])
async def test_anybody_can_use_it(
    look: dict[str, bool], serve: Serve, open_console: OpenConsole, axe: str
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=FCFS)
    tasks = await queue(gateway, 3)
    console = await open_console(gateway, **look)
    await console.see("waits behind 2 of tier standard by fcfs")
    assert await console.violations(axe) == []
    await console.press("#1")
    await console.see("It waits for the next slot, first in line")
    assert await console.violations(axe) == []
    width = await console.page.evaluate("document.documentElement.scrollWidth")
    assert width <= console.page.viewport_size["width"], "it goes beyond the window"
    await done(gateway, engine, tasks)


async def test_a_request_is_cancelled_after_a_question(
    serve: Serve, open_console: OpenConsole
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=FCFS)
    tasks = await queue(gateway, 2)
    console = await open_console(gateway)
    await console.press("#1")
    await console.press("Cancel the request")
    await console.see("Cancel this request?")
    assert not tasks[1].done()
    await console.press("Cancel the request")
    await console.see("The request is cancelled.")
    with pytest.raises(openai.APIStatusError, match="An operator"):
        await tasks[1]
    await done(gateway, engine, tasks)


async def test_two_operators_at_once_the_second_is_told(
    serve: Serve, open_console: OpenConsole
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=FCFS)
    consoles = [await open_console(gateway) for _ in range(2)]
    for console in consoles:
        await console.press("Switch")
        await console.page.get_by_label("Policy", exact=True).select_option("sjf")
    await consoles[0].press_in_dialog("Switch")
    await consoles[0].see("Requests are ordered by sjf now.")
    await consoles[0].see("Switched to sjf by somebody on this machine")
    await consoles[1].press_in_dialog("Switch")
    await consoles[1].see("The policy is sjf by now: somebody on this machine did that")
    consoles[1].complaints.clear()  # the browser itself reports the 409


async def test_a_backend_is_drained_and_resumed(serve: Serve, open_console: OpenConsole) -> None:
    gateway = await serve(ExactEngine("gpu-1"), ExactEngine("gpu-2"))
    console = await open_console(gateway)
    await console.press("Drain gpu-1")
    await console.press_in_dialog("Drain")
    await console.see("gpu-1 drains.")
    await until(lambda: gateway.pool.statuses["gpu-1"].held)
    await console.press("Resume gpu-1")
    await console.press_in_dialog("Resume")
    await console.see("gpu-1 takes requests again.")


async def test_only_the_rows_in_view_exist(serve: Serve, open_console: OpenConsole) -> None:
    gateway = await serve(ExactEngine(), scheduler=FCFS)
    for number in range(10_001):
        gateway.dispatcher.submit(work(f"r{number}"))
    console = await open_console(gateway)
    await console.see("10,000, the next one first")
    lines = console.page.locator(".all .line")
    assert await lines.count() < 80
    await console.page.locator(".rows .scroll").evaluate("box => box.scrollTop = 1e9")
    await console.see("#10,000")
    assert await lines.count() < 80
    find = console.page.get_by_label("Find")
    await find.fill("r9999")
    await console.see("1 of 10,000")
    await find.fill("no such thing")
    await console.see("None is like that.")
    await console.page.get_by_role("link", name="Look for this id in the history").wait_for()


async def test_a_lost_connection_is_said_and_found_again(
    serve: Serve, open_console: OpenConsole
) -> None:
    gateway = await serve(ExactEngine())
    console = await open_console(gateway)
    await console.see("Nothing waits.")
    await gateway.stop()
    await console.see("The connection is lost")
    port = int(gateway.address.rpartition(":")[2])
    await serve(ExactEngine("another"), settings=GatewaySettings(port=port))
    await console.see("another")
    await console.page.get_by_text("The connection is lost").wait_for(state="detached")
    console.complaints.clear()  # the browser itself reports what it could not reach


async def test_names_are_text_whatever_they_hold(serve: Serve, open_console: OpenConsole) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=FCFS)
    name = "<img src=x onerror=alert(1)>"
    tasks = await queue(gateway, 1, **{"x-headway-tenant": name, "x-headway-program": name})
    console = await open_console(gateway)
    await console.see(name)
    await console.press("#1")
    assert await console.page.locator("img").count() == 1, "only our own"
    await done(gateway, engine, tasks)
