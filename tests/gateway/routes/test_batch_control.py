"""Batches that are paused, resumed and tried again."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import count
from typing import Any

import aiohttp
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.conftest import Serve, client_of, until
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.routes.batches import (
    begin,
    ended,
    hang_after,
    jsonl,
    line,
    post,
    rows,
    until_completed,
    works_of,
)

from headway.batches.settings import BatchSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.routes import lines
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey


async def test_a_paused_batch_begins_no_line_until_it_is_resumed_restarts_included(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    gateway = await serve(backend, batches=kept)
    async with client_of(gateway) as client:
        backend.open.clear()
        batch = await begin(client, jsonl(*map(line, range(40))))
        await until(lambda: backend.running > 0)
        status, paused = await post(gateway, f"/v1/batches/{batch.id}/pause")
        assert (status, paused["status"]) == (200, "in_progress")
        assert paused["paused_at"] is not None
        backend.open.set()
        under_way = len(works_of(gateway))
        await until_completed(client, batch.id, under_way)
    await gateway.stop()
    asked = len(backend.requests)
    assert asked < 40
    gateway = await serve(backend, batches=kept)
    async with client_of(gateway) as client:
        await until(lambda: gateway._batches.progress().batches.get("paused"))  # type: ignore[union-attr]
        await asyncio.sleep(0.05)  # it would begin by now
        assert len(backend.requests) == asked
        _, resumed = await post(gateway, f"/v1/batches/{batch.id}/resume")
        assert resumed["paused_at"] is None
        batch = await ended(client, batch.id)
        assert len(await rows(client, batch.output_file_id)) == 40
        assert len(backend.requests) == 40
        status, refused = await post(gateway, f"/v1/batches/{batch.id}/pause")
        assert (status, refused["error"]["code"]) == (409, "batch_is_over")
        assert (await post(gateway, "/v1/batches/batch_9/pause"))[0] == 404


async def test_a_paused_batch_expires_and_can_be_cancelled(
    client: openai.AsyncOpenAI, gateway: Gateway, backend: FakeBackend, kept: BatchSettings
) -> None:
    backend.open.clear()
    batches = [await begin(client, jsonl(line(0), line(1))) for _ in range(2)]
    for batch in batches:
        await post(gateway, f"/v1/batches/{batch.id}/pause")
    await client.batches.cancel(batches[0].id)
    assert (await ended(client, batches[0].id)).status == "cancelled"
    with sqlite3.connect(kept.folder / "batches.db") as database:  # a day passes
        database.execute("UPDATE batches SET expires_at = created_at")
    assert (await ended(client, batches[1].id)).status == "expired"


async def test_what_failed_is_tried_again_in_a_new_batch(
    client: openai.AsyncOpenAI, gateway: Gateway, backend: FakeBackend
) -> None:
    odd = {"Number 3", "Number 5"}
    wrong = 400, {"error": {"message": "too odd", "type": "invalid_request_error"}}
    backend.refuses = lambda body: wrong if body["messages"][0]["content"] in odd else None
    begun = await begin(client, jsonl(*map(line, range(8))), metadata={"run": "7"})
    batch = await ended(client, begun.id)
    odd.clear()
    backend.requests.clear()
    status, again = await post(gateway, f"/v1/batches/{batch.id}/retry")
    assert status == 200
    assert again["metadata"] == {"run": "7", "retry_of": batch.id}
    second = await ended(client, again["id"])
    assert [one["custom_id"] for one in await rows(client, second.output_file_id)] == ["c3", "c5"]
    assert len(backend.requests) == 2
    status, refused = await post(gateway, f"/v1/batches/{second.id}/retry")
    assert (status, refused["error"]["code"]) == (409, "none_failed")
    await client.files.delete(batch.input_file_id)
    status, refused = await post(gateway, f"/v1/batches/{batch.id}/retry")
    assert (status, refused["error"]["code"]) == (404, "file_not_found")


async def test_a_batch_that_runs_cannot_be_tried_again(
    client: openai.AsyncOpenAI, gateway: Gateway, backend: FakeBackend
) -> None:
    backend.open.clear()
    batch = await begin(client, jsonl(line(0)))
    status, refused = await post(gateway, f"/v1/batches/{batch.id}/retry")
    assert (status, refused["error"]["code"]) == (409, "wrong_status")


async def test_a_backend_may_know_a_line_by_its_key(
    serve: Serve, backend: FakeBackend, kept: BatchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "FAILED_S", 0.01)
    broken = 500, {"error": {"message": "out of order", "type": "server_error"}}
    times = count()
    backend.refuses = lambda body: None if next(times) else broken
    async with client_of(await serve(backend, batches=kept, attempts=1)) as client:
        batch = await ended(client, (await begin(client, jsonl(line(0)))).id)
    keys = [head["idempotency-key"] for head in backend.heads]
    assert keys == [f"{batch.id}-1-1", f"{batch.id}-1-2"]


async def test_prometheus_sees_how_far_batches_are(
    client: openai.AsyncOpenAI, gateway: Gateway, backend: FakeBackend
) -> None:
    wrong = 400, {"error": {"message": "too odd", "type": "invalid_request_error"}}
    backend.refuses = lambda body: wrong if "Number 3" in str(body) else None
    await ended(client, (await begin(client, jsonl(*map(line, range(8))))).id)
    await ended(client, (await begin(client, b"no request\n")).id)
    hang_after(backend, 4)
    batch = await begin(client, jsonl(*map(line, range(20))))
    await until_completed(client, batch.id, 4)
    paused = await begin(client, jsonl(*map(line, range(5))))
    await post(gateway, f"/v1/batches/{paused.id}/pause")
    await until(lambda: gateway._batches.progress().batches.get("paused") == 1)  # type: ignore[union-attr]
    async with aiohttp.ClientSession() as http:
        found = await (await http.get(gateway.address + "/metrics")).text()
    values = {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found)
        for sample in family.samples
        if sample.name.startswith("headway_batch")
    }
    assert values["headway_batchesin_progress"] == values["headway_batchespaused"] == 1
    assert values["headway_batches_ended_totalcompleted"] == 1
    assert values["headway_batches_ended_totalfailed"] == 1
    assert values["headway_batch_lines_total200"] == 7 + 4
    assert values["headway_batch_lines_total400"] == 1
    assert values["headway_batch_lines_open"] == 16 + 5
    assert values["headway_batch_lines_running"] > 0
    assert values["headway_batch_seconds_to_end"] > 0
    assert 0 < values["headway_batch_slack_seconds"] < 24 * 3600


async def test_an_admin_sees_and_stops_the_batches_of_all_and_others_their_own(
    serve: Serve, backend: FakeBackend, kept: BatchSettings, caplog: pytest.LogCaptureFixture
) -> None:
    names = {"acme": {}, "globex": {}, "boss": {"admin": True}}
    names["looks"] = {"admin": True, "read_only": True}
    keys = tuple(
        ApiKey(name=name, sha256=hash_key(name), **options) for name, options in names.items()
    )
    gateway = await serve(backend, batches=kept, keys=keys)
    backend.open.clear()
    async with (
        client_of(gateway, api_key="acme") as acme,
        client_of(gateway, api_key="globex") as globex,
        client_of(gateway, api_key="boss") as boss,
        client_of(gateway, api_key="looks") as looks,
    ):
        batch = await begin(acme, jsonl(*map(line, range(40))))
        await until(lambda: backend.running > 0)
        for admin in (boss, looks):
            (seen,) = (await admin.batches.list()).data
            assert seen.model_extra is not None
            extras = seen.model_extra["headway"]
            assert (extras["owner"], extras["key"]) == ("acme", "acme")
        assert (await globex.batches.list()).data == []
        for refused in (globex.batches.cancel, globex.batches.retrieve):
            with pytest.raises(openai.NotFoundError):
                await refused(batch.id)
        with pytest.raises(openai.PermissionDeniedError):
            await looks.batches.cancel(batch.id)
        with caplog.at_level("INFO"):
            await boss.batches.cancel(batch.id)
        assert f"batch {batch.id}: cancel, by key boss" in caplog.text
        backend.open.set()
        assert (await ended(acme, batch.id)).status == "cancelled"
        done = await boss.batches.retrieve(batch.id)
        assert done.error_file_id is not None
        assert await rows(boss, done.error_file_id) == await rows(acme, done.error_file_id)


async def test_failed_lines_are_shown_with_their_errors_while_it_runs_and_after(
    serve: Serve, backend: FakeBackend, kept: BatchSettings
) -> None:
    gateway = await serve(backend, batches=kept)

    def answer(body: dict[str, Any]) -> Any:
        if body["messages"][0]["content"] == "Number 1":
            return 400, {"error": {"message": "too long", "code": "context_length_exceeded"}}
        return "hang" if body["messages"][0]["content"] == "Number 3" else None

    backend.refuses = answer
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(*map(line, range(4))))
        await until_completed(client, batch.id, 2)
        path = f"{gateway.address}/v1/batches/{batch.id}"
        async with aiohttp.ClientSession() as http:

            async def errors() -> Any:
                async with http.get(f"{path}/errors") as answer:
                    return await answer.json()

            async with asyncio.timeout(30):
                while not (meanwhile := await errors())["data"]:
                    await asyncio.sleep(0.01)
            one = {
                "custom_id": "c1",
                "status": 400,
                "code": "context_length_exceeded",
                "message": "too long",
            }
            assert meanwhile == {"data": [one], "total": 1}
            async with http.get(path) as shown:
                assert (await shown.json())["headway"]["ends_at"] >= batch.created_at
            await post(gateway, f"/v1/batches/{batch.id}/pause")
            async with http.get(path) as shown:
                assert (await shown.json())["headway"]["ends_at"] is None
            await client.batches.cancel(batch.id)
            await ended(client, batch.id)
            never = (await errors())["data"][1]
            assert (never["custom_id"], never["status"]) == ("c3", None)
            assert never["code"] == "batch_cancelled"
