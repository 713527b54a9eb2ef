"""Budgets of keys, tenants and batches, as clients meet them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai.types import Batch
from tests.gateway.conftest import HELLO, Serve, catalog_of, client_of, until
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.routes.batches import begin, ended, jsonl
from tests.gateway.routes.batches import line as line_of

from headway.batches.settings import BatchSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey, BudgetSettings
from headway.models.source import source_of
from headway.prices.table import Prices
from headway.prices.tokens import TokenPrice
from headway.store.request_log import RequestLog, read

EXPECTED = {"x-headway-expected-tokens": "100"}
"""Every answer of the backend has 100 tokens; with the prompt about 120 are reserved."""
PRICES = Prices({"fake": TokenPrice(0.0, 10_000.0)})
"""An answer costs 1."""


def key(name: str = "team", **budget: Any) -> ApiKey:
    return ApiKey(name, hash_key(name), tenant="acme", budget=BudgetSettings(**budget))


async def ask(client: openai.AsyncOpenAI, **options: Any) -> Any:
    return await client.chat.completions.create(
        model="fake", messages=HELLO, max_tokens=100, extra_headers=EXPECTED, **options
    )


async def test_what_is_spent_is_refused_before_it_is_scheduled(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_day=240),))
    async with client_of(gateway, api_key="team") as client:
        await ask(client)
        await ask(client)
        with pytest.raises(openai.RateLimitError) as caught:
            await ask(client)
    error = caught.value
    assert (error.code, error.type) == ("insufficient_quota", "insufficient_quota")
    assert 1 <= int(error.response.headers["Retry-After"]) <= 86_400
    assert error.response.headers["x-should-retry"] == "false"
    assert "26 tokens left of its 240 tokens a day" in error.message
    assert len(backend.requests) == 2


async def test_a_burst_does_not_overrun_a_budget(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, keys=(key(money_per_day=10.0),), prices=PRICES, slots=100)
    backend.open.clear()
    async with client_of(gateway, api_key="team") as client:
        asked = [asyncio.ensure_future(ask(client)) for _ in range(40)]
        await until(lambda: sum(one.done() for one in asked) + backend.running == 40)
        assert backend.running == 10
        backend.open.set()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, openai.RateLimitError)]
    assert len(refused) == 30
    assert all(one.response.headers["Retry-After"] == "5" for one in refused)  # held, not spent


async def test_what_was_spent_survives_a_restart(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    for expected in (True, False):
        log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
        gateway = await serve(
            backend, keys=(key(money_per_day=1.5),), prices=PRICES, request_log=log
        )
        async with client_of(gateway, api_key="team") as client:
            if expected:
                await ask(client)
            else:
                with pytest.raises(openai.RateLimitError, match=r"0\.5 left of its 1\.5 a day"):
                    await ask(client)
        await gateway.stop()
        log.close()


async def test_a_budget_may_downgrade_to_tier_batch(serve: Serve, backend: FakeBackend) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_day=130, when_spent="downgrade"),))
    async with client_of(gateway, api_key="team") as client:
        tiers = [(await ask(client)).usage.headway["tier"] for _ in range(2)]
    assert tiers == ["standard", "batch"]


async def test_a_budget_may_downgrade_to_another_model(serve: Serve, backend: FakeBackend) -> None:
    small = FakeBackend("small")
    await small.start()
    budget = {"tokens_per_day": 130, "when_spent": "downgrade", "downgrade_to": "tiny"}
    gateway = await serve(backend, small, keys=(key(**budget),), aliases={"tiny": "small"})
    try:
        async with client_of(gateway, api_key="team") as client:
            for _ in range(3):
                await ask(client)
    finally:
        await small.stop()
    assert [len(one.requests) for one in (backend, small)] == [1, 2]
    assert {body["model"] for _, body in small.requests} == {"small"}


async def test_a_tenant_s_budget_counts_for_all_of_its_keys(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(
        backend,
        keys=(key("one"), key("two")),
        tenant_budgets={"acme": BudgetSettings(tokens_per_month=130)},
    )
    async with client_of(gateway, api_key="one") as client:
        await ask(client)
    async with client_of(gateway, api_key="two") as client:
        with pytest.raises(openai.RateLimitError, match="Tenant 'acme'"):
            await ask(client)


async def test_a_failed_request_gives_its_reservation_back(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_day=130),))
    backend.faults.append((400, {"error": {"message": "no"}}))
    async with client_of(gateway, api_key="team") as client:
        with pytest.raises(openai.BadRequestError):
            await ask(client)
        await ask(client)


async def test_a_budget_that_is_raised_while_it_runs_counts_at_once(
    serve: Serve, backend: FakeBackend
) -> None:
    gateway = await serve(backend, keys=(key(tokens_per_day=130),))
    async with client_of(gateway, api_key="team") as client:
        await ask(client)
        with pytest.raises(openai.RateLimitError):
            await ask(client)
        await gateway.use_keys((key(tokens_per_day=230),))
        await ask(client)
        with pytest.raises(openai.RateLimitError):
            await ask(client)


async def test_a_budget_that_is_added_while_it_runs_counts_what_was_spent_before(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=3600.0)
    plain = ApiKey("team", hash_key("team"), tenant="acme")
    gateway = await serve(backend, keys=(plain,), request_log=log)
    async with client_of(gateway, api_key="team") as client:
        await ask(client)
        assert not log.written  # it is, once somebody wants to know
        # One comes while the log is read.
        await asyncio.gather(gateway.use_keys((key(tokens_per_day=240),)), ask(client))
        with pytest.raises(openai.RateLimitError, match="26 tokens left of its 240 tokens a day"):
            await ask(client)
    await gateway.stop()
    log.close()


async def test_embeddings_of_a_local_model_count(serve: Serve, tiny: Path) -> None:
    catalog = catalog_of(text=source_of(str(tiny / "text")))
    gateway = await serve(
        catalog=catalog,
        keys=(key(money_per_day=0.000_01),),
        prices=Prices({"text": TokenPrice(1.0, 0.0)}),
    )
    async with client_of(gateway, api_key="team") as client:
        await client.embeddings.create(model="text", input="a few words")
        with pytest.raises(openai.RateLimitError, match="left of its 1e-05 a day"):
            await client.embeddings.create(model="text", input="a few more words")


async def test_lines_of_batches_pause_when_their_budget_is_spent(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    gateway = await serve(
        backend,
        batches=BatchSettings(tmp_path / "batches"),
        request_log=log,
        prices=PRICES,
        batch_budget=BudgetSettings(money_per_day=3.5),
        slots=1,
    )
    metadata = {"headway_expected_tokens": "100"}
    body = {"model": "fake", "messages": HELLO, "max_tokens": 100, "metadata": metadata}
    content = b"".join(
        json.dumps({
            "custom_id": f"c{n}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": body,
        }).encode() + b"\n"
        for n in range(20)
    )  # fmt: skip
    async with client_of(gateway) as client:
        file = await client.files.create(file=("in.jsonl", content), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )

        async def shown() -> dict[str, Any]:
            async with http.get(f"{gateway.address}/v1/batches/{batch.id}") as answer:
                return await answer.json()  # type: ignore[no-any-return]

        async with asyncio.timeout(30):
            while (one := await shown())["headway"]["cost"] != 3.0 or not one["headway"]["waits"]:
                await asyncio.sleep(0.01)
        assert one["status"] == "in_progress"
        assert "the budget of batches has 0.5 left, and a line needs 1;" in one["headway"]["waits"]
        assert len(backend.requests) == 3
        await ask(client)  # no line: it is not held back
        await client.batches.cancel(batch.id)
    await gateway.stop()
    log.close()
    assert [one.cost for _, one in read(log.path) if one.batch == batch.id and one.cost] == [
        1.0
    ] * 3


async def test_a_line_that_needs_more_than_the_whole_budget_fails_and_others_go_on(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    gateway = await serve(
        backend, keys=(key(tokens_per_day=1000),), batches=BatchSettings(tmp_path / "batches")
    )
    large = [{"role": "user", "content": "word " * 3000}]
    lines = [line_of(0, max_tokens=5, messages=large), line_of(1, max_tokens=5)]
    async with client_of(gateway, api_key="team") as client:
        with pytest.raises(openai.PermissionDeniedError, match="may spend 1000 tokens a day"):
            await client.chat.completions.create(model="fake", messages=large)  # type: ignore[arg-type]
        batch = await ended(client, (await begin(client, jsonl(*lines))).id)
        assert batch.error_file_id is not None and batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
        errors = await client.files.content(batch.error_file_id)
    assert "'team' may spend 1000 tokens a day" in errors.text
    assert "raise tokens_per_day" in errors.text


async def test_lines_count_against_the_budget_of_the_key_that_began_the_batch(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    gateway = await serve(
        backend,
        keys=(key(money_per_day=1.5),),
        prices=PRICES,
        batches=BatchSettings(tmp_path / "batches"),
        request_log=log,
    )
    body = {"model": "fake", "messages": HELLO, "max_tokens": 100}
    line = {"custom_id": "c", "method": "POST", "url": "/v1/chat/completions", "body": body}
    async with client_of(gateway, api_key="team") as client:
        file = await client.files.create(
            file=("in.jsonl", json.dumps(line).encode()), purpose="batch"
        )
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        async with asyncio.timeout(30):
            while (await client.batches.retrieve(batch.id)).status != "completed":
                await asyncio.sleep(0.01)
        with pytest.raises(openai.RateLimitError, match=r"0\.5 left of its 1\.5 a day"):
            await ask(client)
    await gateway.stop()
    log.close()
    found = [one for _, one in read(log.path) if one.batch]
    assert [(one.key, one.cost) for one in found] == [("team", 1.0)]


async def test_lines_that_are_tried_again_count_against_the_key_that_asked_for_it(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    gateway = await serve(
        backend,
        keys=(key(money_per_day=1.5),),
        prices=PRICES,
        batches=BatchSettings(tmp_path / "batches"),
        request_log=log,
    )
    wrong = 400, {"error": {"message": "no", "type": "invalid_request_error"}}
    backend.refuses = lambda body: wrong
    async with client_of(gateway, api_key="team") as client:
        batch = await ended(client, (await begin(client, jsonl(line_of(0, max_tokens=100)))).id)
        backend.refuses = lambda body: None
        again = await client.post(f"/batches/{batch.id}/retry", cast_to=Batch)
        assert (await ended(client, again.id)).status == "completed"
    await gateway.stop()
    log.close()
    assert [one.key for _, one in read(log.path) if one.batch == again.id] == ["team"]
