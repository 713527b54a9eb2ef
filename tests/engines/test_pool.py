"""BackendPool: who is up, with how many slots."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.engines.generations import eventually

from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone, EngineError
from headway.engines.pool import BackendPool, BackendStatus


class Backend:
    """A small OpenAI-compatible server that can be taken down and brought back."""

    def __init__(self, *models: str) -> None:
        self.models = models
        self.owner = "openai"
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def up(self) -> None:
        application = web.Application()
        application.router.add_get("/v1/models", self._list)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _list(self, _: web.Request) -> web.Response:
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


class Told(list[BackendStatus]):
    """Every change that was told."""

    def __call__(self, status: BackendStatus) -> None:
        self.append(status)


@pytest.fixture
def told() -> Told:
    return Told()


async def test_it_knows_every_model_once(one: Backend, two: Backend, told: Told) -> None:
    pool = BackendPool([Endpoint("one", one.url), Endpoint("two", two.url)], told)
    assert not any(status.healthy for status in pool.statuses.values())
    await pool.start()
    assert pool.models() == ["a", "b", "c"]
    assert list(pool.statuses) == ["one", "two"]
    assert all(status.healthy and status.error is None for status in pool.statuses.values())
    assert {status.name for status in told} == {"one", "two"}
    assert pool.engine("one").url == one.url
    await pool.close()


async def test_who_cannot_be_reached_is_down_and_comes_back_by_himself(
    one: Backend, told: Told
) -> None:
    await one.down()
    pool = BackendPool([Endpoint("one", one.url)], told)
    await pool.start()
    status = pool.statuses["one"]
    assert not status.healthy and status.slots == 0 and status.description is None
    assert status.error is not None and "Cannot connect" in status.error
    with pytest.raises(BackendGone, match="one is down"):
        pool.engine("one")
    await one.up()
    await eventually(lambda: pool.statuses["one"].healthy)
    assert pool.models() == ["a", "b"]
    await pool.close()


async def test_a_failure_has_its_health_checked_at_once(one: Backend, told: Told) -> None:
    pool = BackendPool([Endpoint("one", one.url)], told)
    await pool.start()
    await one.down()
    pool.failed("one", BackendGone("broken"))
    took_s = await eventually(lambda: not pool.statuses["one"].healthy)
    assert took_s < 1.0
    assert pool.models() == ["a", "b"], "its models are still known"
    await one.up()
    await eventually(lambda: pool.statuses["one"].healthy)
    assert told[-1].slots > 0
    await pool.close()


async def test_a_password_in_a_url_is_in_no_status_and_no_log(
    one: Backend, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pool = BackendPool([Endpoint("one", one.url.replace("://", "://user:secret@"))], told)
    await pool.start()
    assert pool.statuses["one"].url == one.url
    await one.down()
    pool.failed("one", BackendGone("broken"))
    await eventually(lambda: not pool.statuses["one"].healthy)
    await pool.close()
    assert one.url in caplog.text and "secret" not in caplog.text + repr(list(told))


async def test_slots_are_what_the_operator_says_else_what_turns_out(
    one: Backend, told: Told
) -> None:
    endpoints = [Endpoint("given", one.url, max_concurrency=3), Endpoint("found", one.url)]
    pool = BackendPool(endpoints, told)
    await pool.start()
    assert pool.statuses["given"].slots == 3
    before = pool.statuses["found"].slots
    for _ in range(before + 2):
        for name in ("given", "found"):
            pool.succeeded(name, ttft_s=0.1, tpot_s=0.01, in_flight=before)
    assert pool.statuses["given"].slots == 3
    assert pool.statuses["found"].slots == before + 1
    assert told[-1] == pool.statuses["found"]
    pool.failed("found", EngineError(429, b"", "too many requests"))
    assert pool.statuses["found"].slots == (before + 1) // 2
    await pool.close()


@pytest.mark.parametrize(("owner", "held_slots"), [("openai", 1.0), ("sglang", 3.0)])
async def test_a_prompt_holds_up_all_slots_of_an_engine_and_none_of_a_hosted_api(
    one: Backend, told: Told, owner: str, held_slots: float
) -> None:
    one.owner = owner
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=3)], told)
    await pool.start()
    description = pool.statuses["one"].description
    assert description is not None
    assert description.cost.held_slots == held_slots
    await pool.close()


async def test_who_fails_again_and_again_is_left_alone_then_tried_with_one(
    one: Backend, told: Told
) -> None:
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4)], told)
    await pool.start()
    for _ in range(5):
        pool.failed("one", EngineError(500, b"", "internal error"))
    assert pool.statuses["one"].slots == 0 and pool.statuses["one"].healthy
    await eventually(lambda: pool.statuses["one"].slots == 1)
    pool.succeeded("one", ttft_s=None, tpot_s=None, in_flight=1)
    assert pool.statuses["one"].slots == 4
    assert [status.slots for status in told] == [4, 0, 1, 4]
    await pool.close()


async def test_a_refusal_is_the_fault_of_the_request(one: Backend, told: Told) -> None:
    pool = BackendPool([Endpoint("one", one.url, max_concurrency=4)], told)
    await pool.start()
    for _ in range(20):
        pool.failed("one", EngineError(400, b"", "bad request"))
    assert pool.statuses["one"].slots == 4
    await pool.close()


def test_two_of_one_name_are_refused() -> None:
    twice = [Endpoint("one", "http://a"), Endpoint("one", "http://b")]
    with pytest.raises(ValueError, match="same name"):
        BackendPool(twice, lambda _: None)
