"""The live page over HTTP: one look for all who watch, and to each what it may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.gateway.conftest import Serve, until
from tests.gateway.doubles import ExactEngine, work

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.gateway.console import live as live_module
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey

FCFS = SchedulerSettings(policy="fcfs")
LIVE = "/console/api/live"
ADMIN = ApiKey("ops", hash_key("admin-key"), admin=True)
TEAM = ApiKey("team", hash_key("team-key"))


@asynccontextmanager
async def watching(
    gateway: Gateway, http: aiohttp.ClientSession, query: str = "", **headers: str
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with http.get(gateway.address + LIVE + query, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["X-Accel-Buffering"] == "no"

        async def views() -> AsyncIterator[dict[str, Any]]:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    yield msgspec.json.decode(line[6:])

        yield views()


def add(gateway: Gateway, *names: str, tenant: str = "", tier: Tier = Tier.STANDARD) -> None:
    for name in names:
        one = work(name)
        one.request.arrival_s = gateway.dispatcher.clock()
        one.request.tenant, one.request.tier = tenant, tier
        gateway.dispatcher.submit(one)


async def test_it_shows_what_runs_and_what_waits_in_its_order(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    tiers = {Tier.BATCH: TierSettings(max_wait_s=60.0)}
    scheduler = SchedulerSettings(policy="fcfs", tiers=tiers)
    gateway = await serve(ExactEngine(), scheduler=scheduler)
    add(gateway, "runs", tier=Tier.INTERACTIVE)
    add(gateway, "late", tier=Tier.BATCH)
    add(gateway, "first", "second")
    async with watching(gateway, http) as views:
        view = await anext(views)
    assert [run["id"] for run in view["runs"]] == ["runs"]
    assert [(row["place"], row["id"]) for row in view["rows"]] == [
        (1, "first"), (2, "second"), (3, "late"),
    ]  # fmt: skip
    assert view["rows"][2]["why"].startswith(
        "waits behind 2 of higher tiers or past their bound; starts in about"
    )
    assert (view["running"], view["waiting"], view["slots"]) == (1, 3, 1)
    batch = view["tiers"][2]
    assert (batch["tier"], batch["waiting"], batch["max_wait_s"]) == ("batch", 1, 60.0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?rows=2", ["r0", "r1"]),
        ("?first=2&rows=2", ["r2", "r3"]),
        ("?first=99&rows=2", ["b"]),
        ("?tier=batch", ["b"]),
        ("?find=R3", ["r3"]),
        ("?find=acme", ["b"]),
    ],
)
async def test_only_the_rows_that_are_asked_for_come(
    query: str, found: list[str], serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine(), scheduler=FCFS)
    add(gateway, "runs", *(f"r{number}" for number in range(4)))
    add(gateway, "b", tenant="Acme", tier=Tier.BATCH)
    async with watching(gateway, http, query) as views:
        view = await anext(views)
    assert [row["id"] for row in view["rows"]] == found


@pytest.mark.parametrize("query", ["?first=-1", "?rows=1e3", "?rows=999", "?tier=best"])
async def test_nonsense_is_refused(query: str, serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(gateway.address + LIVE + query) as answer:
        assert answer.status == 400


async def test_a_tenant_sees_its_own_only(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine(), scheduler=FCFS, keys=(ADMIN, TEAM))
    add(gateway, "theirs", "waits")
    add(gateway, "ours", tenant="team")
    async with watching(gateway, http, Authorization="Bearer team-key") as views:
        view = await anext(views)
    assert [row["id"] for row in view["rows"]] == ["ours"]
    assert view["runs"] == [] and view["others"] == {"running": 1, "waiting": 1}
    assert [one["tenant"] for one in view["tenants"]] == ["team"]
    assert "theirs" not in str(view)
    named = work("for another tenant")
    named.request.tenant, named.caller = "customer", gateway._keys.known(TEAM.sha256)
    gateway.dispatcher.submit(named)
    async with watching(gateway, http, Authorization="Bearer team-key") as views:
        rows = (await anext(views))["rows"]
    assert {row["id"] for row in rows} == {"ours", "for another tenant"}, "it sent both"
    async with watching(gateway, http, Authorization="Bearer admin-key") as views:
        assert (await anext(views))["waiting"] == 3


async def test_nobody_else_sees_anything(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine(), keys=(ADMIN,))
    for path in (LIVE, "/console/api/trend"):
        async with http.get(gateway.address + path) as answer:
            assert answer.status == 401
    gateway = await serve(ExactEngine())
    for path in (LIVE, "/console/api/trend"):
        proxied = {"X-Forwarded-For": "1.2.3.4"}
        async with http.get(gateway.address + path, headers=proxied) as answer:
            assert answer.status == 403


async def test_a_revoked_key_sees_no_more(
    serve: Serve, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "EVERY_S", 0.01)
    gateway = await serve(ExactEngine(), keys=(ADMIN, TEAM))
    headers = {"Authorization": "Bearer team-key"}
    async with http.get(gateway.address + LIVE, headers=headers) as answer:
        await answer.content.readuntil(b"\n\ndata")
        await gateway.use_keys((ADMIN,))
        assert b"event: refused" in await answer.content.read()


async def test_one_look_serves_all_and_none_is_taken_for_nobody(
    serve: Serve, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "EVERY_S", 0.01)
    taken = []
    take = live_module.picture

    async def counted(tick: int, *rest: Any) -> Any:
        taken.append(tick)
        return await take(tick, *rest)

    monkeypatch.setattr(live_module, "picture", counted)
    gateway = await serve(ExactEngine())
    async with watching(gateway, http) as one, watching(gateway, http) as other:
        for _ in range(3):
            ticks = (await anext(one))["tick"], (await anext(other))["tick"]
        assert max(ticks) <= len(taken) <= max(ticks) + 2
        console = gateway._live
        assert console.watchers == 2
    await until(lambda: console.watchers == 0)
    before = len(taken)
    async with http.get(gateway.address + "/healthz"):
        pass
    assert len(taken) <= before + 1


async def test_the_last_hour_is_there_when_the_page_opens(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(gateway.address + "/console/api/trend") as answer:
        trend = await answer.json()
    assert (trend["running"][0], trend["waiting"][0]) == (0, 0)
    assert len(trend["unix_s"]) == len(trend["running"])
