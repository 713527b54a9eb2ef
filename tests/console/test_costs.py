"""The page Costs: what was spent, by whom, what may still be, and what has no price."""

from __future__ import annotations

import time

import pytest
from tests.console.conftest import OpenConsole
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import FakeBackend
from tests.store.history.rows import fill, record

from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey, BudgetSettings
from headway.store.request_log import RequestLog

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="document.title=1">\u202eevil'


def spent(log: RequestLog) -> None:
    """Requests of just now: two of acme that cost 3.00 together, two of models without price."""
    now_s = time.time()
    acme = {
        "arrival_unix_s": now_s,
        "tenant": "acme",
        "key": "acme",
        "program": "mb1-abc",
    }
    fill(
        log,
        [
            record(1, **acme, cost=1.0),
            record(2, **acme, cost=2.0),
            record(3, **acme | {"tenant": HOSTILE, "model": "dear/one: x", "cost": None}),
            record(4, **acme | {"model": "encoder", "backend": "", "cost": None}),
        ],
        now_s,
    )


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}])
async def test_who_spent_what_and_what_is_left(
    look: dict[str, bool],
    serve: Serve,
    backend: FakeBackend,
    log: RequestLog,
    open_console: OpenConsole,
    axe: str,
) -> None:
    spent(log)
    budget = BudgetSettings(money_per_day=2.0, tokens_per_month=1e6)
    keys = (
        ApiKey("acme", hash_key("acme"), budget=budget),
        ApiKey("boss", hash_key("boss"), admin=True),
    )
    gateway = await serve(backend, request_log=log, keys=keys)
    console = await open_console(gateway, "#/costs", **look)
    await console.sign_in("boss")
    await console.see("3.00 of 2.00 today: spent")
    await console.see('"dear/one: x": {input: 0.10, output: 0.40}')
    await console.see("encoder, which answers whole batches: 1 request")
    await console.see("encoder: {input: 0.10, output: 0}")
    rows = console.page.locator(".spent tbody tr")
    await rows.first.wait_for()
    assert [await one.locator("th").inner_text() for one in await rows.all()] == ["acme", HOSTILE]
    await console.page.get_by_label("By what").select_option("run")
    await console.page.get_by_role("link", name="mb1-abc").wait_for()
    assert await console.page.title() == "Costs · Headway"
    assert await console.violations(axe) == []
    console.complaints.clear()  # of what was asked before the sign-in


async def test_without_a_log_it_says_what_to_do(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    console = await open_console(await serve(backend), "#/costs")
    await console.see("there is none: set log.requests_db")
    console.complaints.clear()  # the browser notes the 404 by itself
