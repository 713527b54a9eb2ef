"""Who gets in, in which tier, and what the others are told."""

from __future__ import annotations

import asyncio

import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.gateway.intake.given import MEDIA_TOKENS
from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey


async def test_a_full_queue_is_429_with_retry_after(serve: Serve, backend: FakeBackend) -> None:
    limits = SchedulerSettings(tiers={Tier.STANDARD: TierSettings(max_queue=2)})
    gateway = await serve(backend, slots=1, scheduler=limits)
    backend.open.clear()
    async with client_of(gateway) as client:
        asked = [
            asyncio.ensure_future(client.chat.completions.create(model="fake", messages=HELLO))
            for _ in range(3)
        ]
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 2)
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="fake", messages=HELLO)
        assert raised.value.code == "queue_full" and raised.value.type == "rate_limit_error"
        assert int(raised.value.response.headers["Retry-After"]) >= 1
        backend.open.set()
        # The limit is of its tier alone.
        await client.chat.completions.create(model="fake", messages=HELLO, service_tier="priority")
        await asyncio.gather(*asked)


async def test_a_hopeless_deadline_is_told_at_once(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, slots=1)
    backend.open.clear()
    async with client_of(gateway, max_retries=2) as client:
        first = asyncio.ensure_future(
            client.chat.completions.create(model="fake", messages=HELLO, max_tokens=1000)
        )
        await until(lambda: backend.running == 1)
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(
                model="fake",
                messages=HELLO,
                extra_headers={"x-headway-deadline-ms": "50", "x-headway-expected-tokens": "500"},
            )
        assert (raised.value.status_code, raised.value.code) == (504, "deadline_exceeded")
        assert "predicted wait" in raised.value.message
        backend.open.set()
        await first


async def test_a_deadline_that_passes_while_waiting_is_told_then(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, slots=1)
    backend.open.clear()
    async with client_of(gateway) as client:
        first = asyncio.ensure_future(
            client.chat.completions.create(
                model="fake",
                messages=HELLO,
                service_tier="priority",
                extra_headers={"x-headway-expected-tokens": "1"},
            )
        )
        await until(lambda: backend.running == 1)
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(
                model="fake",
                messages=HELLO,
                extra_headers={"x-headway-deadline-ms": "400", "x-headway-expected-tokens": "1"},
            )
        assert raised.value.code == "deadline_exceeded"
        backend.open.set()
        await first


async def test_a_late_request_can_be_downgraded_instead(serve: Serve, backend: FakeBackend) -> None:
    settings = SchedulerSettings(on_missed_deadline="downgrade")
    gateway = await serve(backend, scheduler=settings)
    async with client_of(gateway) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="fake",
            messages=HELLO,
            extra_headers={"x-headway-deadline-ms": "1", "x-headway-expected-tokens": "5000"},
        )
    assert raw.headers["x-headway-tier"] == "batch"


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        ({}, "standard"),
        ({"service_tier": "priority"}, "interactive"),
        ({"service_tier": "default"}, "standard"),
        ({"service_tier": "auto"}, "standard"),
        ({"service_tier": "gold"}, "standard"),
        ({"service_tier": "flex"}, "batch"),
        ({"extra_headers": {"x-headway-tier": "batch"}}, "batch"),
        ({"metadata": {"headway_tier": "interactive"}}, "interactive"),
        (
            {"service_tier": "flex", "extra_headers": {"x-headway-tier": "Interactive"}},
            "interactive",
        ),
    ],
)
async def test_tiers(serve: Serve, asked: dict[str, object], tier: str) -> None:
    engine = ExactEngine()
    engine.allow()
    async with client_of(await serve(engine)) as client:
        answer = await client.chat.completions.create(
            model="counter", messages=HELLO, max_tokens=1, **asked
        )
    assert answer.usage.headway["tier"] == tier


@pytest.mark.parametrize(
    ("asked", "tenant"),
    [
        ({}, "anonymous"),
        ({"user": "ann"}, "ann"),
        ({"user": "ann", "extra_headers": {"x-headway-tenant": "bob"}}, "bob"),
        ({"metadata": {"headway_tenant": "carl"}}, "carl"),
    ],
)
async def test_tenants(serve: Serve, asked: dict[str, object], tenant: str) -> None:
    engine = ExactEngine()
    engine.allow()
    async with client_of(await serve(engine)) as client:
        answer = await client.chat.completions.create(
            model="counter", messages=HELLO, max_tokens=1, **asked
        )
    assert answer.usage.headway["tenant"] == tenant


async def test_keys_ceilings_and_rates(serve: Serve, backend: FakeBackend) -> None:
    key = ApiKey("team", hash_key("k1"), max_tier=Tier.STANDARD, requests_per_minute=2)
    gateway = await serve(backend, keys=(key,))
    async with client_of(gateway) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(model="fake", messages=HELLO)
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
    async with client_of(gateway, api_key="k1") as client:
        answer = await client.chat.completions.create(
            model="fake", messages=HELLO, service_tier="priority"
        )
        assert answer.usage.headway["tier"] == "standard"
        assert answer.usage.headway["tenant"] == "team"
        await client.chat.completions.create(model="fake", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="fake", messages=HELLO)
        assert raised.value.code == "rate_limit_exceeded"
        assert int(raised.value.response.headers["Retry-After"]) >= 1


async def test_order_of_waiting_requests_is_by_tier(serve: Serve) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, scheduler=SchedulerSettings(policy="fcfs"))
    finished: list[str] = []
    async with client_of(gateway) as client:

        async def ask(tier: str) -> None:
            await client.chat.completions.create(
                model="counter", messages=HELLO, max_tokens=1, service_tier=tier
            )
            finished.append(tier)

        first = asyncio.ensure_future(ask("priority"))
        await until(lambda: engine.running == 1)
        others = []
        for number, tier in enumerate(["flex", "default", "priority"], 1):
            others.append(asyncio.ensure_future(ask(tier)))
            await until(lambda number=number: gateway.dispatcher.scheduler.waiting() == number)
        for number in range(1, 5):
            engine.allow(1)
            await until(lambda number=number: len(finished) == number)
        await asyncio.gather(first, *others)
    assert finished == ["priority", "priority", "default", "flex"]


async def test_an_image_counts_as_so_many_tokens_whatever_its_bytes(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend)
    backend.open.clear()
    async with client_of(gateway) as client:
        parts = [
            {"type": "text", "text": "What is this? " * 40},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}},
        ]
        asked = asyncio.ensure_future(
            client.chat.completions.create(
                model="fake", messages=[{"role": "user", "content": parts}]
            )
        )
        await until(lambda: backend.running == 1)
        (work,) = gateway.dispatcher.works.values()
        assert MEDIA_TOKENS + 140 < work.request.prompt_tokens < MEDIA_TOKENS + 240
        backend.open.set()
        await asked
