"""Every query of a rule or dashboard reads what a gateway exports: no name is made up."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.deploy.deployed import (
    ALERTS,
    OF_PROMETHEUS,
    PROMETHEUS,
    RECORDING,
    Query,
    of_panels,
    of_rules,
    of_variables,
    rules,
)
from tests.gateway.conftest import catalog_of, until
from tests.gateway.doubles import EnginePool, ExactEngine, Reader

from headway.batches.settings import BatchSettings
from headway.core.settings import SchedulerSettings
from headway.gateway.server import Gateway
from headway.gateway.settings import AutoSettings, GatewaySettings
from headway.prediction.live.watch import LEAST
from headway.store.request_log import RequestLog

RECORDED = {rule["record"] for rule in rules(RECORDING)}
QUERIES = [*of_rules(), *of_panels()]
REQUESTS = LEAST + 20
TIERS = ("interactive", "standard", "batch")
LIMIT_S = 30.0

Series = list[Mapping[str, str]]


class Live:
    """Two gateways that have, between them, all that can be switched on."""

    def __init__(self, gateways: Iterable[tuple[Gateway, ExactEngine]]) -> None:
        self._gateways = list(gateways)
        self.addresses = [gateway.address for gateway, _ in self._gateways]

    async def traffic(self) -> None:
        """Requests of all tiers to both, and some batches."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            await asyncio.gather(*(self._traffic_of(http, *one) for one in self._gateways))

    async def _traffic_of(
        self, http: aiohttp.ClientSession, gateway: Gateway, engine: ExactEngine
    ) -> None:
        asked = [self._complete(http, gateway.address, number) for number in range(REQUESTS)]
        asked += [self._upper(http, gateway.address, tier) for tier in TIERS]
        answers = asyncio.gather(*asked)
        # Only what still waits or runs is predicted, so the engine starts after that.
        await until(lambda: gateway._foresight.predicted == REQUESTS, LIMIT_S)
        engine.allow()
        await answers
        await self._paused_batch(http, gateway.address)

    async def metrics(self) -> dict[str, Series]:
        """The labels of all series that a scrape of both finds, by name."""
        found: dict[str, Series] = defaultdict(list)
        async with aiohttp.ClientSession() as http:
            for address in self.addresses:
                async with http.get(f"{address}/metrics") as answer:
                    text = await answer.text()
                for family in text_string_to_metric_families(text):
                    for sample in family.samples:
                        found[sample.name].append(sample.labels)
        return found

    async def _complete(self, http: aiohttp.ClientSession, address: str, number: int) -> None:
        body = {"model": "counter", "prompt": str(number % 9), "max_tokens": 1 + number % 9}
        headers = {"x-headway-tier": TIERS[number % 3]}
        async with http.post(f"{address}/v1/completions", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def _paused_batch(self, http: aiohttp.ClientSession, address: str) -> None:
        body = {"model": "counter", "prompt": "0", "max_tokens": 1}
        lines = [
            {"custom_id": str(n), "method": "POST", "url": "/v1/completions", "body": body}
            for n in range(500)
        ]
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", "\n".join(map(json.dumps, lines)), filename="in.jsonl")
        async with http.post(f"{address}/v1/files", data=form) as answer:
            file = (await answer.json())["id"]
        asked = {
            "input_file_id": file, "endpoint": "/v1/completions", "completion_window": "24h"
        }  # fmt: skip
        async with http.post(f"{address}/v1/batches", json=asked) as answer:
            batch = (await answer.json())["id"]
        async with http.post(f"{address}/v1/batches/{batch}/pause") as answer:
            assert answer.status == 200, await answer.text()

    async def _upper(self, http: aiohttp.ClientSession, address: str, tier: str) -> None:
        url = f"{address}/v1/models/upper:predict"
        async with http.post(
            url, json={"instances": ["a", "b"]}, headers={"x-headway-tier": tier}
        ) as answer:
            assert answer.status == 200, await answer.text()


@asynccontextmanager
async def live(folder: Path) -> AsyncIterator[Live]:
    """One promises a tail and learns; one chooses its policy and asks models for lengths."""
    async with AsyncExitStack() as stack:
        gateways = []
        for name, options in {
            "boost": {"scheduler": SchedulerSettings(policy="boost")},
            "auto": {
                "scheduler": SchedulerSettings(policy="fcfs"),
                "auto": AutoSettings(),
                "ask_lengths": True,
            },
        }.items():
            engine = ExactEngine(name)
            log = RequestLog(folder / f"{name}.db", batch_s=0.0)
            stack.callback(log.close)
            gateway = Gateway(
                GatewaySettings(port=0, **options),  # type: ignore[arg-type]
                pool=EnginePool(engine),  # type: ignore[arg-type]
                predictor=Reader(),  # type: ignore[arg-type]
                request_log=log,
                learned=folder / name,
                catalog=catalog_of("upper"),
                batches=BatchSettings(folder / f"{name}-batches"),
            )
            await gateway.start()
            stack.push_async_callback(gateway.stop)
            gateways.append((gateway, engine))
        yield Live(gateways)


class Prometheus:
    """A running one, which scrapes every half second."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def data(self, query: str) -> Series:
        """The labels of what `query` returns now, without what is no number; none: not ready."""
        try:
            async with self._http.get(
                f"{self._url}/api/v1/query", params={"query": query}
            ) as answer:
                if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                    return []  # it is starting
                reply = await answer.json()
        except aiohttp.ClientConnectionError:
            return []
        assert reply["status"] == "success", f"{query}: {reply}"
        found = reply["data"]["result"]
        return [one["metric"] for one in found if one["value"][1] != "NaN"]

    async def without_data(self, queries: Iterable[Query]) -> list[Query]:
        """The queries that have returned nothing when the time is over."""
        missing = list(queries)
        try:
            async with asyncio.timeout(LIMIT_S):
                while missing:
                    missing = [one for one in missing if not await self.data(one.answered)]
                    await asyncio.sleep(0.25)
        except TimeoutError:
            pass
        return missing


@asynccontextmanager
async def prometheus(folder: Path, addresses: Iterable[str]) -> AsyncIterator[Prometheus]:
    """With the example's settings, but for addresses and pace."""
    settings: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    settings["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    settings["rule_files"] = [str(RECORDING), str(ALERTS)]
    (job,) = settings["scrape_configs"]
    job["static_configs"] = [{"targets": [urlsplit(address).netloc for address in addresses]}]
    (folder / "prometheus.yml").write_text(json.dumps(settings))  # which is YAML, too
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        "prometheus", "--config.file", str(folder / "prometheus.yml"), "--storage.tsdb.path",
        str(folder / "data"), "--web.listen-address", listen, "--log.level", "error",
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as http:
            yield Prometheus(http, f"http://{listen}")
    finally:
        process.terminate()
        await process.wait()


def faults(query: Query, metrics: Mapping[str, Series]) -> list[str]:
    """What `query` names that no gateway has."""
    found = []
    labels = set(OF_PROMETHEUS) | {"le"}
    for selector in query.selectors:
        if selector.name in RECORDED:
            labels |= query.grouped_by  # what recorded it is checked itself
            continue
        if selector.name == "up":  # Prometheus's own
            continue
        series = metrics.get(selector.name, ())
        if not series:
            found.append(f"{query}: no gateway has the metric {selector.name}")
        for label, operator, value in selector.matchers:
            if label in OF_PROMETHEUS:
                continue
            known = {one[label] for one in series if label in one}
            if not known or (operator == "=" and value not in known):
                found.append(f"{query}: no {selector.name} has {label}{operator}{value}")
        labels |= {label for one in series for label in one}
    if unknown := query.grouped_by - labels:
        found.append(f"{query}: no label {', '.join(sorted(unknown))}")
    return found


async def test_every_metric_and_label_is_a_gateways(tmp_path: Path) -> None:
    async with live(tmp_path) as gateways:
        await gateways.traffic()
        metrics = await gateways.metrics()
    found = [fault for query in QUERIES for fault in faults(query, metrics)]
    for query in of_variables():
        (selector,) = [one for one in query.selectors if one.name in metrics]
        label = query.text.rpartition(",")[2].strip(" )")
        if label not in OF_PROMETHEUS and label not in metrics[selector.name][0]:
            found.append(f"{query}: no {selector.name} has the label {label}")
    assert not found, "\n".join(found)


def test_a_made_up_name_is_found() -> None:
    metrics: dict[str, Series] = {"headway_tokens_total": [{"tier": "batch", "kind": "output"}]}
    good = Query("here", 'sum by (tier, instance) (rate(headway_tokens_total{kind="output"}[5m]))')
    assert not faults(good, metrics)
    for wrong in (
        good.text.replace("tokens_total", "token_total"),
        good.text.replace("output", "input"),
        good.text.replace("kind", "sort"),
        good.text.replace("by (tier", "by (tenant"),
        good.text.replace("headway_", "hedway_"),
    ):
        assert faults(Query("there", wrong), metrics), wrong


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is in Debian's package prometheus"
)
async def test_every_query_returns_data_of_a_live_gateway(tmp_path: Path) -> None:
    async with (
        live(tmp_path) as gateways,
        prometheus(tmp_path, gateways.addresses) as server,
    ):
        both = Query("both are scraped", 'sum(up{job="headway"}) == 2')
        assert not await server.without_data([Query(both.where, "up"), both])
        await gateways.traffic()
        assert not list(map(str, await server.without_data(QUERIES)))
