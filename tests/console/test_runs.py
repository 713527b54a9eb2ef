"""The page Runs: what people are asked, runs page by page, and each as a graph."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.console.conftest import OpenConsole
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import FakeBackend
from tests.store.history.rows import fill, record
from tests.workflows.conftest import Bench

import headway
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings, WorkerSettings
from headway.store.request_log import RequestLog
from headway.store.sqlite import SqliteConnection
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.schema import prepare

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="document.title=1">\u202eevil\U0001f980'


@headway.task(retries=1, backoff_s=0.0)
async def draft(number: int) -> str:
    if number == 1 and draft_fails.is_set():
        raise ValueError(HOSTILE)
    answer = await headway.llm(f"Number {number}", model="fake")
    return answer.text


draft_fails = asyncio.Event()


@headway.task
async def look_up(text: str) -> str:
    return text


@headway.workflow
async def article(topics: int, about: str = "a draft") -> Any:
    found = await look_up("jazz")
    drafts = await headway.map(draft, range(topics), limit=50)
    chosen = await headway.ask("Publish it?", choices=["today", "tomorrow"], about=about)
    edited = await headway.ask("Is the title right?", edit=HOSTILE)
    return [found, len(drafts), chosen, edited]


@pytest_asyncio.fixture(loop_scope="session")
async def bench(tmp_path: Path, backend: FakeBackend, stack: AsyncExitStack) -> Bench:
    draft_fails.clear()
    journal = Journal(lambda: SqliteConnection(tmp_path / "workflows.db", prepare))
    stack.callback(journal.close)
    return Bench(journal, backend.url)


@pytest_asyncio.fixture(loop_scope="session")
async def workers(bench: Bench, stack: AsyncExitStack) -> tuple[WorkerSettings, ...]:
    """A worker that works, as the gateway knows it."""
    served = await stack.enter_async_context(bench.serving(article))
    return (WorkerSettings("reports", served.address),)


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(
    serve: Serve, backend: FakeBackend, workers: tuple[WorkerSettings, ...], log: RequestLog
) -> Gateway:
    return await serve(backend, workers=workers, request_log=log)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}])
async def test_a_run_is_seen_as_a_graph_and_a_table(
    look: dict[str, bool],
    gateway: Gateway,
    bench: Bench,
    open_console: OpenConsole,
    log: RequestLog,
    axe: str,
) -> None:
    draft_fails.set()
    failed = await bench.start(article, topics=3)
    await bench.until(failed.id, "failed")
    now_s = time.time()
    fill(log, [record(1, arrival_unix_s=now_s, program=failed.id, cost=0.25)], now_s)
    draft_fails.clear()
    waits = await bench.start(article, topics=20)
    await bench.until(waits.id, "waiting")
    console = await open_console(gateway, "#/runs", **look)
    await console.see("A person is asked")
    assert await console.violations(axe) == []
    await console.page.get_by_role("link", name=failed.id).click()
    graph = console.page.get_by_role("img", name="The graph of the run")
    await graph.locator(".node.failed").wait_for()
    assert await graph.locator(".node").count() == 4
    assert await console.page.locator("dt", has_text="Cost").locator("+ dd").inner_text() == "0.25"
    assert await graph.locator(".node.failed").count() == 1
    await graph.locator(".node.failed").click()
    rows = console.page.locator(".steps tbody tr")
    assert await rows.count() == 1
    assert HOSTILE in await rows.inner_text() and "2" in await rows.inner_text()
    await console.page.goto(f"{gateway.address}/console#/runs?run={waits.id}")
    await console.see("20 of 20")
    assert await graph.locator(".node").count() == 3
    assert await rows.count() == 42
    assert await console.page.title() == "Runs · Headway"
    assert await console.page.locator("main img").count() == 0
    assert await console.violations(axe) == []


async def test_people_answer_what_a_run_asks(
    gateway: Gateway, bench: Bench, open_console: OpenConsole
) -> None:
    row = await bench.start(article, topics=2, about="x" * 1_000_000)
    await bench.until(row.id, "waiting")
    console = await open_console(gateway, "#/runs")
    await console.see("20,000 of 1,000,000 characters")
    await console.press("tomorrow")
    await console.press_in_dialog("tomorrow")
    await console.see("The run has its answer.")
    await console.see("Is the title right?")
    await console.page.get_by_label("Change it before it goes on").fill("Jazz")
    await console.press("Go on with this")
    await console.press_in_dialog("Go on with this")
    ended = await bench.until(row.id, "finished")
    assert ended.output_json == '["jazz", 2, "tomorrow", "Jazz"]'
    await console.page.locator(".runs .run.finished").wait_for()
    steps = await bench.journal.steps(row.id)
    assert steps["ask"].answered_by == "somebody on this machine"


async def test_a_graph_fills_while_its_steps_end_and_a_failed_run_goes_on(
    gateway: Gateway, bench: Bench, open_console: OpenConsole
) -> None:
    draft_fails.set()
    row = await bench.start(article, topics=3)
    await bench.until(row.id, "failed")
    console = await open_console(gateway, f"#/runs?run={row.id}")
    await console.page.locator(".node.failed").wait_for()
    draft_fails.clear()
    await console.press("Run what failed again")
    await console.press_in_dialog("Run again")
    await console.page.locator(".node.waiting").wait_for()
    await console.see("Publish it?")
    await console.press("Reject")
    await console.press_in_dialog("Reject")
    await console.page.locator(".run.failed").first.wait_for()
    await console.see("Rejected: a person said no")


async def test_what_to_do_where_there_is_no_worker_or_it_is_away(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    console = await open_console(await serve(backend), "#/runs")
    await console.see("No worker is known")
    away = (WorkerSettings("reports", "http://127.0.0.1:9"),)
    console = await open_console(await serve(backend, workers=away), "#/runs")
    await console.see("Worker reports does not answer: connection refused; start it with")
    console.complaints.clear()  # the browser notes the 503 by itself


async def test_a_gateway_that_goes_away_is_said_and_found_again(
    gateway: Gateway,
    serve: Serve,
    backend: FakeBackend,
    bench: Bench,
    workers: tuple[WorkerSettings, ...],
    open_console: OpenConsole,
) -> None:
    row = await bench.start(article, topics=2)
    await bench.until(row.id, "waiting")
    console = await open_console(gateway, f"#/runs?run={row.id}")
    await console.see("Publish it?")
    await gateway.stop()
    lost = console.page.get_by_text("The gateway does not answer, so this is how it was")
    await lost.wait_for()
    await bench.journal.cancel(row.id)
    port = int(gateway.address.rpartition(":")[2])
    await serve(backend, settings=GatewaySettings(port=port, workers=workers))
    await console.page.locator(".run.cancelled").wait_for()
    await lost.wait_for(state="detached")
    console.complaints.clear()  # the browser itself reports what it could not reach
