"""/v1/headway/costs: what a key may see."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey, BudgetSettings
from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord

KEYS = (
    ApiKey("ops", hash_key("ops"), admin=True),
    ApiKey("chat", hash_key("chat"), tenant="acme", budget=BudgetSettings(money_per_day=9.0)),
    ApiKey("other", hash_key("other"), budget=BudgetSettings(tokens_per_month=1000)),
)


def row(number: int, tenant: str, cost: float | None, **more: Any) -> RequestRecord:
    return RequestRecord(
        id=f"r{number}",
        arrival_unix_s=time.time(),
        tier="standard",
        tenant=tenant,
        model="m",
        prompt_tokens=10,
        output_tokens=5,
        charged_tokens=15,
        outcome="finished",
        status=200,
        cost=cost,
        **more,
    )


@pytest.fixture
async def gateway(serve: Serve, tmp_path: Path) -> Gateway:
    log = RequestLog(tmp_path / "requests.db")
    log.write(row(1, "acme", 1.0, key="chat"))
    log.write(row(2, "acme", None, key="chat", backend="b1"))
    log.write(row(3, "other", 4.0, key="other", program="run-1"))
    log.close()
    return await serve(ExactEngine(), keys=KEYS, request_log=log)


@pytest.fixture
def costs(gateway: Gateway, http: aiohttp.ClientSession) -> Any:
    async def ask(key: str, status: int = 200, **query: str) -> Any:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{gateway.address}/v1/headway/costs"
        async with http.get(url, params=query, headers=headers) as answer:
            assert answer.status == status
            return await answer.json()

    return ask


async def test_an_operator_sees_all(costs: Any) -> None:
    found = await costs("ops", by="tenant,run")
    groups = [(one["group"], one["cost"], one["unpriced"]) for one in found["groups"]]
    assert groups == [
        ({"tenant": "other", "run": "run-1"}, 4.0, 0),
        ({"tenant": "acme", "run": ""}, 1.0, 1),
    ]
    assert (found["total"]["cost"], found["total"]["requests"]) == (5.0, 3)
    assert found["unpriced"] == [{"model": "m", "backend": "b1", "requests": 1, "tokens": 15}]
    assert [(one["scope"], one["name"], one["unit"]) for one in found["budgets"]] == [
        ("key", "chat", "money"),
        ("key", "other", "tokens"),
    ]


async def test_the_dearest_come_first_and_the_rest_is_counted(costs: Any) -> None:
    found = await costs("ops", by="tenant", limit="1")
    assert [one["group"]["tenant"] for one in found["groups"]] == ["other"]
    assert (found["left_out"], found["total"]["cost"]) == (1, 5.0)


async def test_others_see_their_own_and_another_tenant_is_not_there(costs: Any) -> None:
    found = await costs("chat", by="key")
    assert [(one["group"]["key"], one["cost"]) for one in found["groups"]] == [("chat", 1.0)]
    (budget,) = found["budgets"]
    assert (budget["name"], budget["limit"], budget["spent"]) == ("chat", 9.0, 1.0)
    assert budget["resets_at"] > time.time()
    assert (await costs("chat", tenant="acme"))["total"]["requests"] == 2
    assert (await costs("chat", 404, tenant="other"))["error"]["code"] == "tenant_not_found"
    assert (await costs("ops", tenant="other"))["total"]["cost"] == 4.0
    assert (await costs("nobody", 401))["error"]["code"] == "invalid_api_key"


async def test_one_run_is_asked_for_by_its_id(costs: Any) -> None:
    assert (await costs("ops", run="run-1"))["total"]["cost"] == 4.0
    assert (await costs("chat", run="run-1"))["total"]["requests"] == 0
    assert (await costs("ops", run="run-2", tenant="other"))["total"]["requests"] == 0


async def test_moments_and_groups_are_checked(costs: Any) -> None:
    assert (await costs("ops", since="2100-01-01"))["groups"] == []
    assert (await costs("ops", since="1h", until="2100-01-01"))["total"]["requests"] == 3
    assert (await costs("ops", 400, since="yesterday"))["error"]["param"] == "since"
    assert "not one of day" in (await costs("ops", 400, by="day,colour"))["error"]["message"]


async def test_without_a_log_there_are_no_costs(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(ExactEngine())
    async with http.get(f"{gateway.address}/v1/headway/costs") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "no_request_log"
