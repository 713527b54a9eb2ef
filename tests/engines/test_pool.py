"""BackendPool: who is up, with how many slots."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.engines.generations import eventually

from headway.engines import member, patience, trials
from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone, BackendSilent, EngineError
from headway.engines.pool import BackendPool, BackendStatus


class Backend:
    """A small OpenAI-compatible server that can be taken down and brought back."""

    def __init__(self, *models: str) -> None:
        self.models = models
        self.owner = "openai"
        self.port = 0
        self.list_status = self.chat_status = 200
        self.lists = self.trials = 0
        self.open = asyncio.Event()
        """Cleared: it answers no POST."""
        self.open.set()
        self._site: web.TCPSite | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def up(self) -> None:
        application = web.Application()
        application.router.add_get("/v1/models", self._list)
        application.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def deafen(self) -> None:
        """Take no new connections; those that are there go on."""
        assert self._site is not None
        await self._site.stop()

    async def _chat(self, _: web.Request) -> web.Response:
        self.trials += 1
        await self.open.wait()
        return web.json_response({"choices": []}, status=self.chat_status)

    async def _list(self, _: web.Request) -> web.Response:
        self.lists += 1
        if self.list_status != 200:
            return web.json_response({}, status=self.list_status)
        return web.json_response({"data": [{"id": m, "owned_by": self.owner} for m in self.models]})


@pytest.fixture
async def one() -> AsyncIterator[Backend]:
    backend = Backend("a", "b")
    await backend.up()
    yield backend
    await backend.down()


@pytest.fixture
async def two() -> AsyncIterator[Backend]:
    backend = Backend("b", "c")
    await backend.up()
    yield backend
    await backend.down()


class Reported(list[BackendStatus]):
    """Every status that the pool reported."""

    def __call__(self, status: BackendStatus) -> None:
        self.append(status)


@pytest.fixture
def reported() -> Reported:
    return Reported()


async def test_it_knows_every_model_once(one: Backend, two: Backend, reported: Reported) -> None:
    pool = BackendPool([Endpoint("one", one.url), Endpoint("two", two.url)])
    assert not any(status.healthy for status in pool.statuses.values())
    await pool.start(reported)
    assert pool.models() == ["a", "b", "c"]
    assert list(pool.statuses) == ["one", "two"]
    assert all(status.healthy and status.error is None for status in pool.statuses.values())
    assert {status.name for status in reported} == {"one", "two"}
    assert pool.engine("one").url == one.url
    await pool.close()


async def test_who_cannot_be_reached_is_down_and_comes_back_by_himself(
    one: Backend, reported: Reported, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headway")
    await one.down()
    pool = BackendPool([Endpoint("one", one.url)])
    await pool.start(reported)
    assert f"backend one at {one.url} is down: cannot connect" in caplog.text
    status = pool.statuses["one"]
    assert not status.healthy and status.slots == 0 and status.description is None
    assert status.error is not None and "cannot connect" in status.error
    with pytest.raises(BackendGone, match="one is down"):
        pool.engine("one")
    await one.up()
    await eventually(lambda: pool.statuses["one"].healthy)
    assert pool.models() == ["a", "b"]
    await pool.close()
    down, up = (line.getMessage() for line in caplog.records)
    assert "is down" in down and f"backend one is up at {one.url} after" in up


async def test_a_failure_has_its_health_checked_at_once(one: Backend, reported: Reported) -> None:
    pool = BackendPool([Endpoint("one", one.url)])
    await pool.start(reported)
    await one.down()
    pool.failed("one", "r1", BackendGone("broken"))
    took_s = await eventually(lambda: not pool.statuses["one"].healthy)
    assert took_s < 1.0
    assert pool.models() == ["a", "b"], "its models are still known"
    await one.up()
    await eventually(lambda: pool.statuses["one"].healthy)
    assert reported[-1].slots > 0
    await pool.close()


async def test_a_password_in_a_url_is_in_no_status_and_no_log(
    one: Backend, reported: Reported, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pool = BackendPool([Endpoint("one", one.url.replace("://", "://user:secret@"))])
    await pool.start(reported)
    assert pool.statuses["one"].url == one.url
    await one.down()
    pool.failed("one", "r1", BackendGone("broken"))
    await eventually(lambda: not pool.statuses["one"].healthy)
    await pool.close()
    assert one.url in caplog.text and "secret" not in caplog.text + repr(list(reported))


async def test_slots_are_what_the_operator_says_else_what_turns_out(
    one: Backend, reported: Reported
) -> None:
    endpoints = [Endpoint("given", one.url, max_concurrency=3), Endpoint("found", one.url)]
    pool = BackendPool(endpoints)
    await pool.start(reported)
    assert pool.statuses["given"].slots == 3
    before = pool.statuses["found"].slots
    for _ in range(before + 2):
        for name in ("given", "found"):
            pool.succeeded(name, "r", tpot_s=0.01, in_flight=before)
    assert pool.statuses["given"].slots == 3
    assert pool.statuses["found"].slots == before + 1
    assert reported[-1] == pool.statuses["found"]
    await pool.close()


@pytest.mark.parametrize("given", [8, None])
async def test_who_has_too_much_to_do_is_left_alone_for_as_long_as_it_says(
    one: Backend, reported: Reported, given: int | None
) -> None:
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=given)])
    await pool.start(reported)
    before = pool.statuses["one"].slots
    for number in range(4):
        pool.failed("one", f"r{number}", EngineError(429, b"", "busy", {"Retry-After": "0.4"}))
    assert pool.statuses["one"].healthy and pool.statuses["one"].slots == 0
    took_s = await eventually(lambda: pool.statuses["one"].slots > 0)
    assert 0.3 < took_s < 2.0
    assert pool.statuses["one"].slots == before // 2, "and then gets less at once"
    for _ in range(before * before):
        pool.succeeded("one", "r", tpot_s=0.01, in_flight=before)
    assert pool.statuses["one"].slots >= before
    await pool.close()


@pytest.mark.parametrize(("owner", "held_slots"), [("openai", 1.0), ("sglang", 3.0)])
async def test_a_prompt_holds_up_all_slots_of_an_engine_and_none_of_a_hosted_api(
    one: Backend, reported: Reported, owner: str, held_slots: float
) -> None:
    one.owner = owner
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=3)])
    await pool.start(reported)
    description = pool.statuses["one"].description
    assert description is not None
    assert description.cost.held_slots == held_slots
    await pool.close()


async def test_who_fails_again_and_again_gets_nothing_until_it_answers_a_trial(
    one: Backend, reported: Reported
) -> None:
    one.chat_status = 500
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4)])
    await pool.start(reported)
    for number in range(5):
        pool.failed("one", f"r{number}", EngineError(500, b"", "internal error"))
    assert pool.statuses["one"].slots == 0 and pool.statuses["one"].healthy
    await eventually(lambda: one.trials > 1)
    assert pool.statuses["one"].slots == 0
    one.chat_status = 200
    await eventually(lambda: pool.statuses["one"].slots == 4)
    assert [status.slots for status in reported] == [4, 0, 4]
    await pool.close()


async def test_slow_answers_of_a_backend_that_failed_do_not_keep_requests_away_afterwards(
    one: Backend, reported: Reported
) -> None:
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4)])
    await pool.start(reported)

    def decode_s() -> float:
        description = pool.statuses["one"].description
        assert description is not None
        return description.cost.decode_s_per_token

    unknown_s = decode_s()
    pool.succeeded("one", "slow", tpot_s=9.0, in_flight=1)
    assert decode_s() == 9.0, "placement goes by it at once"
    for number in range(5):
        pool.failed("one", f"r{number}", EngineError(500, b"", "internal error"))
    assert pool.statuses["one"].slots == 0
    await eventually(lambda: pool.statuses["one"].slots == 4)
    assert decode_s() == unknown_s
    await pool.close()


async def test_who_hangs_gets_no_more_until_it_answers_a_trial(
    one: Backend, reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "TRIAL_S", 0.1)
    monkeypatch.setattr(patience, "SUSPECT_S", 0.1)
    monkeypatch.setattr(member, "CHECK_EVERY_S", 0.05)
    one.open.clear()
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4)])
    await pool.start(reported)
    activity = pool.activity("one")
    activity.began(time.monotonic())
    await eventually(lambda: pool.statuses["one"].slots == 1)
    assert pool.statuses["one"].healthy, "what it has may go on: it may just be busy"
    activity.ended(time.monotonic())
    pool.left("one")
    assert pool.statuses["one"].slots == 0
    one.open.set()
    await eventually(lambda: pool.statuses["one"].slots == 4)
    await pool.close()


async def test_a_sign_of_life_ends_the_suspicion(
    one: Backend, reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "TRIAL_S", 0.1)
    monkeypatch.setattr(member, "CHECK_EVERY_S", 0.05)
    one.open.clear()
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4)])
    await pool.start(reported)
    activity = pool.activity("one")
    activity.began(time.monotonic())
    pool.failed("one", "r", BackendSilent("nothing came"))
    assert pool.statuses["one"].slots == 1
    activity.heard(time.monotonic())
    await eventually(lambda: pool.statuses["one"].slots == 4)
    await pool.close()


@pytest.mark.parametrize("status", [429, 500])
async def test_a_failed_check_is_not_down_while_something_flows(
    one: Backend, reported: Reported, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(member, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(member, "FIRST_RETRY_S", 0.01)
    pool = BackendPool([Endpoint("one", one.url)])
    await pool.start(reported)
    activity = pool.activity("one")
    activity.began(time.monotonic())
    activity.heard(time.monotonic())
    one.list_status, one.lists = status, 0
    await eventually(lambda: one.lists > 5)
    assert pool.statuses["one"].healthy
    monkeypatch.setattr(member, "FLOWING_S", 0.0)
    await eventually(lambda: pool.statuses["one"].healthy is (status == 429))
    await pool.close()


async def test_what_still_comes_from_a_backend_that_is_down_may_end(
    one: Backend, reported: Reported
) -> None:
    one.open.clear()
    pool = BackendPool([Endpoint("one", one.url)])
    await pool.start(reported)
    activity = pool.activity("one")
    answer = asyncio.ensure_future(pool.engine("one").forward("chat/completions", b"{}"))
    activity.began(time.monotonic())
    await eventually(lambda: one.trials == 1)
    pool.failed("one", "other", BackendGone("broken"))
    await one.deafen()
    await eventually(lambda: not pool.statuses["one"].healthy)
    one.open.set()
    assert await (await answer).read()
    activity.ended(time.monotonic())
    await pool.close()


async def test_a_request_that_fails_everywhere_closes_what_it_opened(
    one: Backend, two: Backend, reported: Reported
) -> None:
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4), Endpoint("two", two.url)])
    await pool.start(reported)
    for number in range(5):
        pool.failed("one", f"r{number}", EngineError(500, b"", "internal error"))
    assert pool.statuses["one"].slots == 0
    pool.forgive("r3")
    assert pool.statuses["one"].slots == 4
    await pool.close()


async def test_the_models_that_the_operator_names_are_known_before_it_answers(
    one: Backend, reported: Reported
) -> None:
    await one.down()
    pool = BackendPool([Endpoint("one", one.url, models=("big",))])
    assert pool.models() == ["big"]
    await pool.start(reported)
    assert pool.models() == ["big"]
    await pool.close()


async def test_a_refusal_is_the_fault_of_the_request(one: Backend, reported: Reported) -> None:
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4)])
    await pool.start(reported)
    for number in range(20):
        pool.failed("one", f"r{number}", EngineError(400, b"", "bad request"))
    assert pool.statuses["one"].slots == 4
    await pool.close()


def test_two_of_one_name_are_refused() -> None:
    twice = [Endpoint("one", "http://a"), Endpoint("one", "http://b")]
    with pytest.raises(ValueError, match="same name"):
        BackendPool(twice)


def serving(backend: Backend, **more: Any) -> Endpoint:
    return Endpoint("one", backend.url, **more)


async def test_a_new_server_joins_once_it_was_probed(
    one: Backend, two: Backend, reported: Reported
) -> None:
    pool = BackendPool([serving(one)])
    await pool.start(reported)
    await pool.use([serving(one), Endpoint("two", two.url)])
    assert [status.healthy for status in reported if status.name == "two"] == [False, True]
    assert pool.models() == ["a", "b", "c"]
    await pool.close()


async def test_slots_change_without_another_connection(one: Backend, reported: Reported) -> None:
    pool = BackendPool([serving(one, max_concurrency=3)])
    await pool.start(reported)
    engine, lists = pool.engine("one"), one.lists
    await pool.use([serving(one, max_concurrency=5)])
    assert pool.statuses["one"].slots == 5
    assert pool.engine("one") is engine and one.lists == lists
    await pool.close()


async def test_another_key_or_address_is_used_once_it_was_probed(
    one: Backend, two: Backend, reported: Reported
) -> None:
    pool = BackendPool([serving(one)])
    await pool.start(reported)
    engine, activity = pool.engine("one"), pool.activity("one")
    activity.began(0.0)
    await pool.use([serving(two)])
    assert pool.engine("one") is engine, "until the other one has answered"
    await eventually(lambda: pool.engine("one") is not engine)
    assert pool.statuses["one"].url == two.url
    assert pool.models() == ["b", "c"]
    assert all(status.healthy for status in reported if status.description), "without a gap"
    await engine.check()  # what it has in flight goes on
    activity.ended(0.0)
    await pool.use([serving(two, api_key="secret")])
    await eventually(lambda: two.lists == 2)
    await pool.close()


async def test_an_address_at_which_nothing_answers_is_down(
    one: Backend, reported: Reported
) -> None:
    pool = BackendPool([serving(one)])
    await pool.start(reported)
    await pool.use([Endpoint("one", "http://127.0.0.1:9")])
    await eventually(lambda: not pool.statuses["one"].healthy)
    await pool.use([serving(one)])
    await eventually(lambda: pool.statuses["one"].healthy)
    await pool.close()


async def test_one_that_is_missing_is_leaving_until_it_is_dropped(
    one: Backend, two: Backend, reported: Reported, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headway")
    pool = BackendPool([serving(one), Endpoint("two", two.url)])
    await pool.start(reported)
    await pool.use([Endpoint("two", two.url)])
    assert reported[-1].leaving and reported[-1].healthy and reported[-1].slots == 0
    assert pool.models() == ["b", "c"]
    assert pool.engine("one").url == one.url, "for what it runs"
    await pool.use([serving(one), Endpoint("two", two.url)])
    assert not pool.statuses["one"].leaving and pool.statuses["one"].slots
    await pool.use([Endpoint("two", two.url)])
    pool.drop("one")
    assert list(pool.statuses) == ["two"]
    pool.failed("one", "r", BackendGone("late"))
    assert "finishes what it runs" in caplog.text and "backend one has left" in caplog.messages
    await pool.close()


async def test_two_of_the_same_name_are_refused(one: Backend, reported: Reported) -> None:
    pool = BackendPool([serving(one)])
    await pool.start(reported)
    with pytest.raises(ValueError, match="give each its own"):
        await pool.use([serving(one), serving(one)])
    assert list(pool.statuses) == ["one"]
    await pool.close()
