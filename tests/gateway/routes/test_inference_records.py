"""Every request to a model that answers whole batches has its line and its row."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.gateway.conftest import Serve, catalog_of, client_of, until

from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey, BudgetSettings, GatewaySettings
from headway.models.source import source_of
from headway.prices.table import Prices
from headway.prices.tokens import TokenPrice
from headway.store.request_log import RequestLog, read
from headway.store.request_record import RequestRecord

KEY = {"Authorization": "Bearer secret", "x-headway-tier": "batch"}


class Predicting:
    """A gateway with functions, and the records of what it was asked."""

    def __init__(self, path: Path, http: aiohttp.ClientSession, **limits: float) -> None:
        self._http = http
        self._path = path
        self._log = RequestLog(path, batch_s=0.0)
        key = ApiKey("team", hash_key("secret"), **limits)
        settings = GatewaySettings(port=0, keys=(key,))
        catalog = catalog_of("upper", "Picky")
        self._gateway = Gateway(settings, catalog=catalog, request_log=self._log)
        self.start = self._gateway.start

    async def ask(self, model: str, *items: object) -> int:
        url = f"{self._gateway.address}/v1/models/{model}:predict"
        async with self._http.post(url, json={"instances": items}, headers=KEY) as answer:
            return answer.status

    async def stop(self) -> None:
        await self._gateway.stop()
        await asyncio.to_thread(self._log.close)

    @property
    def rows(self) -> list[RequestRecord]:
        return [record for _, record in read(self._path)]


@pytest.mark.timeout(60)
async def test_each_has_one_line_and_one_row_with_who_and_why(
    tmp_path: Path,
    http: aiohttp.ClientSession,
    stack: AsyncExitStack,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "headway")
    predicting = Predicting(tmp_path / "requests.db", http, requests_per_minute=2)
    await predicting.start()
    stack.push_async_callback(predicting.stop)
    statuses = [await predicting.ask("upper", "a"), await predicting.ask("Picky", "broken")]
    statuses.append(await predicting.ask("upper", "a"))
    await predicting.stop()
    rows = predicting.rows
    assert [row.status for row in rows] == statuses
    assert (statuses[0], statuses[2]) == (200, 429)
    assert (statuses[1], rows[1].outcome, rows[1].reason) == (500, "failed", "model_failed")
    assert {(row.tenant, row.tier) for row in rows} == {("team", "batch")}
    assert [row.model for row in rows] == ["upper", "Picky", "upper"]
    assert (rows[0].outcome, rows[0].reason) == ("finished", "")
    assert (rows[2].outcome, rows[2].reason) == ("rejected", "rate_limit_exceeded")
    assert rows[0].total_ms is not None and rows[0].total_ms > 0.0
    lines = [one.getMessage() for one in caplog.records if one.name == "headway.request"]
    assert [json.loads(line)["id"] for line in lines] == [row.id for row in rows]


async def test_tokens_of_texts_are_those_of_a_prompt_and_other_items_have_none(
    tiny: Path, serve: Serve, log: RequestLog
) -> None:
    catalog = catalog_of("upper", text=source_of(str(tiny / "text")))
    gateway = await serve(catalog=catalog, request_log=log)
    async with client_of(gateway) as client:
        answer = await client.embeddings.create(model="text", input=["a cat", "an animal"])
        await client.post("/models/upper:predict", body={"instances": ["a"]}, cast_to=object)
    await until(lambda: log.written == 2)
    rows = {record.model: record.prompt_tokens for _, record in read(log.path)}
    assert rows == {"text": answer.usage.prompt_tokens, "upper": None}


@pytest.mark.timeout(60)
async def test_a_budget_of_money_refuses_a_model_whose_items_are_not_counted_in_tokens(
    tmp_path: Path, http: aiohttp.ClientSession, stack: AsyncExitStack
) -> None:
    key = ApiKey("team", hash_key("secret"), budget=BudgetSettings(money_per_day=1.0))
    prices = Prices({"upper": TokenPrice(1.0, 1.0)})
    settings = GatewaySettings(port=0, keys=(key,), prices=prices)
    gateway = Gateway(settings, catalog=catalog_of("upper"))
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    url = f"{gateway.address}/v1/models/upper:predict"
    async with http.post(url, json={"instances": ["a"]}, headers=KEY) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == "model_unpriced"
