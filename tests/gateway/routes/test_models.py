"""Models that answer whole batches are under the same rules as every other work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import Serve, until
from tests.models.functions_source import function

from headway.core.batching import BatchingSettings, TierBatching
from headway.core.request import Tier
from headway.core.settings import TierSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey
from headway.models.catalog import Catalog
from headway.models.instances import Instances
from headway.models.served import ServedModel


def of(name: str, **batching: Any) -> Catalog:
    """One function, with settings of its batches."""
    backing = Instances(function(name), 1, threads=1)
    return Catalog([ServedModel(name, backing, BatchingSettings(**batching))])


async def predict(
    http: aiohttp.ClientSession, gateway: Gateway, instances: list[Any], **headers: str
) -> tuple[int, dict[str, Any]]:
    """Status and answer of the gateway's only model."""
    (model,) = gateway.catalog
    url = f"{gateway.address}/v1/models/{model.name}:predict"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.post(url, json={"instances": instances}, headers=named) as answer:
        return answer.status, await answer.json()


async def scraped(http: aiohttp.ClientSession, gateway: Gateway, **headers: str) -> str:
    async with http.get(gateway.address + "/metrics", headers=headers) as answer:
        return await answer.text()


async def test_keys_are_asked_for(serve: Serve, http: aiohttp.ClientSession) -> None:
    keys = (ApiKey(name="team", sha256=hash_key("secret")),)
    gateway = await serve(catalog=of("upper"), keys=keys)
    status, told = await predict(http, gateway, ["a"])
    assert (status, told["error"]["code"]) == (401, "invalid_api_key")
    status, told = await predict(http, gateway, ["a"], authorization="Bearer secret")
    assert (status, told) == (200, {"predictions": ["A"]})
    gets = [("GET", path) for path in ("/v2/models/upper", "/v2/models/upper/ready")]
    for method, path in [*gets, ("POST", "/v2/repository/index")]:
        async with http.request(method, gateway.address + path) as answer:
            assert answer.status == 401
            assert "error" in await answer.json()
    for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
        async with http.get(gateway.address + path) as answer:
            assert answer.status == 200


async def test_a_key_has_its_rate_and_its_best_tier(
    serve: Serve, http: aiohttp.ClientSession
) -> None:
    key = ApiKey("team", hash_key("s"), max_tier=Tier.BATCH, requests_per_minute=1)
    admin = ApiKey("operator", hash_key("root"), admin=True)
    gateway = await serve(catalog=of("upper"), keys=(key, admin))
    asked = {"authorization": "Bearer s", "x_headway_tier": "interactive"}
    assert (await predict(http, gateway, ["a"], **asked))[0] == 200
    status, told = await predict(http, gateway, ["a"], **asked)
    assert (status, told["error"]["code"]) == (429, "rate_limit_exceeded")
    line = 'headway_model_requests_total{model="upper",outcome="finished",tier="batch"} 1.0'
    assert line in await scraped(http, gateway, authorization="Bearer root")


async def test_a_full_queue_refuses(
    serve: Serve, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gateway = await serve(catalog=of("gated", max_queue=1))
    (model,) = gateway.catalog
    gate = str(tmp_path / "gate")
    running = asyncio.ensure_future(predict(http, gateway, [gate]))
    await until(lambda: model.batches == 1)
    waiting = asyncio.ensure_future(predict(http, gateway, [gate]))
    await until(lambda: model.waiting == 1)
    status, told = await predict(http, gateway, [gate])
    assert (status, told["error"]["code"]) == (429, "queue_full")
    assert "headway_model_waiting" in await scraped(http, gateway)
    Path(gate).touch()
    assert await running == await waiting == (200, {"predictions": [gate]})
    assert 'outcome="queue_full",tier="standard"} 1.0' in await scraped(http, gateway)


async def test_a_deadline_that_cannot_be_met_is_told(
    serve: Serve, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gateway = await serve(catalog=of("gated"))
    (model,) = gateway.catalog
    gate = str(tmp_path / "gate")
    running = asyncio.ensure_future(predict(http, gateway, [gate]))
    await until(lambda: model.batches == 1)
    status, told = await predict(http, gateway, [gate], x_headway_deadline_ms="20")
    assert (status, told["error"]["code"]) == (504, "deadline_exceeded")
    Path(gate).touch()
    assert (await running)[0] == 200


async def test_the_urgent_go_first(
    serve: Serve, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    tiers = {tier: TierBatching(max_size=1, queue=TierSettings()) for tier in Tier}
    gateway = await serve(catalog=of("gated", tiers=tiers))
    (model,) = gateway.catalog
    order: list[str] = []

    async def ask(tier: str, gate: str) -> None:
        await predict(http, gateway, [gate], x_headway_tier=tier)
        order.append(tier)

    gates = [str(tmp_path / name) for name in "abc"]
    running = asyncio.ensure_future(ask("standard", gates[0]))
    await until(lambda: model.batches == 1)
    Path(gates[1]).touch()
    Path(gates[2]).touch()
    later = asyncio.ensure_future(ask("batch", gates[1]))
    await until(lambda: model.waiting == 1)
    first = asyncio.ensure_future(ask("interactive", gates[2]))
    await until(lambda: model.waiting == 2)
    Path(gates[0]).touch()
    await asyncio.gather(running, later, first)
    assert order.index("interactive") < order.index("batch")


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("x_headway_tier", "royal", "unknown_tier"),
        ("x_headway_deadline_ms", "soon", None),
    ],
)
async def test_wrong_headers_are_named(
    serve: Serve, http: aiohttp.ClientSession, header: str, value: str, code: str | None
) -> None:
    gateway = await serve(catalog=of("upper"))
    status, told = await predict(http, gateway, ["a"], **{header: value})
    assert status == 400
    assert told["error"]["code"] == code
    assert told["error"]["param"] == header.replace("_", "-")


async def test_a_client_that_leaves_is_counted_and_takes_nothing_with_it(
    serve: Serve, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gateway = await serve(catalog=of("gated"))
    (model,) = gateway.catalog
    gate = str(tmp_path / "gate")
    leaving = asyncio.ensure_future(predict(http, gateway, [gate]))
    await until(lambda: model.batches == 1)
    leaving.cancel()
    staying = asyncio.ensure_future(predict(http, gateway, [gate]))
    await until(lambda: model.waiting == 1)
    Path(gate).touch()
    assert (await staying)[0] == 200
    assert 'outcome="cancelled",tier="standard"} 1.0' in await scraped(http, gateway)


async def test_at_shutdown_everything_that_is_here_is_answered_and_nothing_more_is_taken(
    serve: Serve, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gateway = await serve(catalog=of("gated"))
    (model,) = gateway.catalog
    gate = str(tmp_path / "gate")
    running = asyncio.ensure_future(predict(http, gateway, [gate]))
    await until(lambda: model.batches == 1)
    waiting = asyncio.ensure_future(predict(http, gateway, [gate]))
    await until(lambda: model.waiting == 1)
    draining = asyncio.ensure_future(gateway.drain())
    await asyncio.sleep(0)
    status, told = await predict(http, gateway, [gate])
    assert (status, told["error"]["code"]) == (503, "shutting_down")
    async with http.get(gateway.address + "/v2/health/ready") as answer:
        assert answer.status == 503
    Path(gate).touch()
    assert (await running)[0] == (await waiting)[0] == 200
    assert await draining


async def test_what_takes_too_long_is_cut_off_at_shutdown(
    serve: Serve, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gateway = await serve(catalog=of("gated"), drain_s=0.01)
    (model,) = gateway.catalog
    running = asyncio.ensure_future(predict(http, gateway, [str(tmp_path / "gate")]))
    await until(lambda: model.batches == 1)
    assert not await gateway.drain()
    (pid,) = model.backing.pids()
    stopping = asyncio.ensure_future(gateway.stop())
    (tmp_path / "gate").touch()
    await stopping
    assert model.backing.pids() == [] and pid
    await asyncio.gather(running, return_exceptions=True)


async def test_metrics_tell_what_models_do(serve: Serve, http: aiohttp.ClientSession) -> None:
    gateway = await serve(catalog=of("Picky"))
    await predict(http, gateway, ["a", "b"])
    await predict(http, gateway, ["poison"])
    text = await scraped(http, gateway)
    for line in (
        'headway_model_requests_total{model="Picky",outcome="finished",tier="standard"} 1.0',
        'headway_model_requests_total{model="Picky",outcome="failed",tier="standard"} 1.0',
        'headway_model_latency_seconds_count{model="Picky",tier="standard"} 1.0',
        'headway_model_items_total{model="Picky"} 3.0',
        'headway_model_cold_starts_total{model="Picky"} 1.0',
        'headway_model_instances{model="Picky"} 1.0',
        'headway_model_loaded{model="Picky"} 1.0',
        'headway_model_waiting{model="Picky"} 0.0',
    ):
        assert line in text
    assert "headway_model_cold_start_seconds_total" in text
    assert "headway_model_batches_total" in text


def test_two_models_of_one_name_are_an_error() -> None:
    model = next(iter(of("upper")))
    with pytest.raises(ValueError, match="same name"):
        Catalog([model, model])
