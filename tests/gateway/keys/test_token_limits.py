"""Tokens per minute of a key, as clients meet them."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import openai
import pytest
from tests.gateway.conftest import HELLO, Serve, catalog_of, client_of, until
from tests.gateway.doubles import ExactEngine
from tests.gateway.fake_backend import FakeBackend, chat_reply

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey


def key(**limits: Any) -> ApiKey:
    return ApiKey("team", hash_key("k1"), **limits)


def expecting(tokens: int) -> dict[str, Any]:
    return {"extra_headers": {"x-headway-expected-tokens": str(tokens)}, "max_tokens": tokens}


async def test_a_burst_gets_no_more_than_a_minute_s_worth(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_minute=1000),), slots=100)
    backend.open.clear()
    async with client_of(gateway, api_key="k1") as client:
        asked = [
            asyncio.ensure_future(
                client.chat.completions.create(model="fake", messages=HELLO, **expecting(80))
            )
            for _ in range(40)
        ]
        # About 100 tokens each, with the prompt: ten of them at most.
        await until(lambda: sum(one.done() for one in asked) + backend.running == 40)
        assert 8 <= backend.running <= 12
        backend.open.set()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, openai.RateLimitError)]
    assert len(refused) >= 28
    assert all(one.code == "rate_limit_exceeded" for one in refused)
    assert all(1 <= int(one.response.headers["Retry-After"]) <= 10 for one in refused)


async def test_a_claim_of_few_tokens_makes_no_room_for_many(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_minute=100),))
    backend.open.clear()
    async with client_of(gateway, api_key="k1") as client:

        async def ask() -> None:
            await client.chat.completions.create(
                model="fake", messages=HELLO, extra_headers={"x-headway-expected-tokens": "1"}
            )

        first = asyncio.ensure_future(ask())
        await until(lambda: backend.running == 1)
        with pytest.raises(openai.RateLimitError):
            await ask()
        backend.open.set()
        await first


async def test_an_answer_without_usage_is_counted_here(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_minute=150),))
    reply = {name: value for name, value in chat_reply("fake").items() if name != "usage"}
    backend.faults.append((200, reply))
    async with client_of(gateway, api_key="k1") as client:
        await client.chat.completions.create(model="fake", messages=HELLO, **expecting(1))
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="fake", messages=HELLO, **expecting(1))


async def test_a_client_that_leaves_pays_for_its_prompt_and_what_was_produced(
    serve: Serve,
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine, keys=(key(tokens_per_minute=60),))
    engine.allow(19)
    async with client_of(gateway, api_key="k1") as client:
        stream = await client.completions.create(
            model="counter", prompt="p", stream=True, **expecting(20)
        )
        (work,) = gateway.dispatcher.works.values()
        await until(lambda: work.output_tokens == 19)
        await stream.close()
        await until(lambda: not gateway.dispatcher.works)
        # 5 of the prompt and 19 of the answer are gone, 36 are left.
        with pytest.raises(openai.RateLimitError):
            await client.completions.create(model="counter", prompt="p", **expecting(45))


async def test_a_client_that_leaves_unseen_pays_what_was_expected(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_minute=200),))
    backend.open.clear()
    async with client_of(gateway, api_key="k1") as client:
        asked = asyncio.ensure_future(
            client.chat.completions.create(model="fake", messages=HELLO, **expecting(150))
        )
        await until(lambda: backend.running == 1)
        asked.cancel()
        await until(lambda: not gateway.dispatcher.works)
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="fake", messages=HELLO, **expecting(100))


async def test_who_was_refused_or_never_ran_pays_nothing(
    serve: Serve, backend: FakeBackend
) -> None:
    full = SchedulerSettings(tiers={Tier.BATCH: TierSettings(max_queue=0)})
    limited = key(tokens_per_minute=1000, requests_per_minute=4)
    gateway = await serve(backend, keys=(limited,), scheduler=full, slots=1)
    backend.open.clear()
    async with client_of(gateway, api_key="k1") as client:

        def ask(tier: str) -> asyncio.Task[Any]:
            return asyncio.ensure_future(
                client.chat.completions.create(
                    model="fake", messages=HELLO, service_tier=tier, **expecting(300)
                )
            )

        first = ask("default")
        await until(lambda: backend.running == 1)
        for _ in range(10):
            with pytest.raises(openai.RateLimitError) as raised:
                await ask("flex")
            assert raised.value.code == "queue_full"
        gone = ask("default")
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 1)
        gone.cancel()
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 0)
        second, third = ask("default"), ask("default")
        await until(lambda: gateway.dispatcher.scheduler.waiting() == 2)
        backend.open.set()
        await asyncio.gather(first, second, third)


async def test_a_backend_s_error_costs_no_tokens(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_minute=1000),))
    error = {"error": {"message": "no", "type": "invalid_request_error"}}
    backend.faults.extend([(400, error)] * 5)
    async with client_of(gateway, api_key="k1") as client:
        for _ in range(5):
            with pytest.raises(openai.BadRequestError):
                await client.chat.completions.create(model="fake", messages=HELLO, **expecting(900))


async def test_models_that_answer_batches_count_alike(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    gateway = await serve(catalog=catalog_of("upper"), keys=(key(tokens_per_minute=100),))
    headers = {"x-api-key": "k1"}

    async def ask() -> int:
        sent = {"instances": ["x" * 30]}
        url = gateway.address + "/v1/models/upper:predict"
        async with http.post(url, json=sent, headers=headers) as answer:
            return answer.status

    statuses = await asyncio.gather(*(ask() for _ in range(20)))
    assert statuses.count(200) == 3
    assert statuses.count(429) == 17
    await gateway.stop()
