"""Gateways on several hosts that share their batches in PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import openai
import psycopg
import pytest
from tests.gateway.conftest import Serve, client_of, until
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.routes.batches import CHAT, begin, ended, jsonl, line, post, rows

from headway.batches import shared_files
from headway.batches.settings import BatchSettings
from headway.prices.table import Prices
from headway.prices.tokens import TokenPrice
from headway.store.request_log import RequestLog


@pytest.fixture
def hosts(tmp_path: Path, postgres_database: str) -> list[BatchSettings]:
    """Two hosts: each has a folder of its own."""
    return [BatchSettings(tmp_path / name, database=postgres_database) for name in "ab"]


async def test_what_is_kept_at_one_gateway_is_there_at_the_other(
    serve: Serve,
    backend: FakeBackend,
    hosts: list[BatchSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_files, "PIECE_BYTES", 1000)
    first, second = [await serve(backend, batches=host) for host in hosts]
    async with client_of(first) as here, client_of(second) as there:
        content = jsonl(*map(line, range(20)))
        file = await here.files.create(file=("in.jsonl", content), purpose="batch")
        assert (await there.files.content(file.id)).content == content
        batch = await there.batches.create(
            input_file_id=file.id, endpoint=CHAT, completion_window="24h"
        )
        batch = await ended(here, batch.id)
        answers = await rows(here, batch.output_file_id)
        assert [one["custom_id"] for one in answers] == [f"c{n}" for n in range(20)]
        assert answers == await rows(there, batch.output_file_id)
        empty = await here.files.create(file=("empty", b""), purpose="batch")
        assert (await there.files.content(empty.id)).content == b""
        await there.files.delete(file.id)
        for client in (here, there):
            with pytest.raises(openai.NotFoundError):
                await client.files.content(file.id)
    with psycopg.connect(hosts[0].database) as database:
        (kept,) = database.execute("SELECT count(DISTINCT file) FROM pieces").fetchall()
        (planned,) = database.execute("SELECT count(*) FROM lines").fetchall()
    assert (kept, planned) == ((2,), (0,))  # the output and the empty file


async def test_a_gateway_says_how_many_lines_are_not_in_the_cost_that_it_knows(
    serve: Serve, backend: FakeBackend, hosts: list[BatchSettings], tmp_path: Path
) -> None:
    logs = [RequestLog(tmp_path / f"{name}.db") for name in "ab"]
    prices = Prices({"fake": TokenPrice(1.0, 2.0)})
    first, second = [
        await serve(backend, batches=host, request_log=log, prices=prices)
        for host, log in zip(hosts, logs, strict=True)
    ]
    async with client_of(first) as here, client_of(second) as there:
        batch = await ended(there, (await begin(here, jsonl(*map(line, range(5))))).id)
        for client, uncounted in ((here, 0), (there, 5)):
            shown = ((await client.batches.retrieve(batch.id)).model_extra or {})["headway"]
            assert shown["uncounted"] == uncounted
            assert (shown["cost"] is None) == bool(uncounted)
    for gateway, log in zip((first, second), logs, strict=True):
        await gateway.stop()
        log.close()


async def test_a_batch_is_cancelled_at_the_gateway_that_does_not_run_it(
    serve: Serve, backend: FakeBackend, hosts: list[BatchSettings]
) -> None:
    backend.open.clear()
    first, second = [await serve(backend, batches=host) for host in hosts]
    async with client_of(first) as here, client_of(second) as there:
        batch = await begin(here, jsonl(*map(line, range(20))))
        await until(lambda: backend.running > 0)
        await post(second, f"/v1/batches/{batch.id}/pause")
        assert (await here.batches.retrieve(batch.id)).model_extra["paused_at"]  # type: ignore[index]
        await there.batches.cancel(batch.id)
        batch = await ended(there, batch.id)
        assert batch.status == "cancelled"
        assert len(await rows(there, batch.error_file_id)) == 20


async def test_copies_that_nobody_asks_for_go(
    serve: Serve, backend: FakeBackend, hosts: list[BatchSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await serve(backend, batches=hosts[0])
    async with client_of(gateway) as client:
        file = await client.files.create(file=("in", b"abc"), purpose="batch")
        batches = gateway._batches
        assert batches is not None and batches._shared is not None
        batches._shared.forget_copies()
        assert batches.folder.path(file.id).exists()
        monkeypatch.setattr(shared_files, "COPY_S", -1.0)
        batches._shared.forget_copies()
        assert not batches.folder.path(file.id).exists()
        assert (await client.files.content(file.id)).content == b"abc"


async def test_while_the_database_is_away_clients_are_told_so_and_lines_wait(
    serve: Serve, backend: FakeBackend, hosts: list[BatchSettings]
) -> None:
    backend.open.clear()
    gateway = await serve(backend, batches=hosts[0])
    assert gateway._batches is not None
    transactions = gateway._batches._journal._transactions
    transactions._retry_s = 0.01
    connect, away = transactions._connect, [True]

    def refuse() -> object:
        if away[0]:
            raise ConnectionRefusedError
        return connect()

    transactions._connect = refuse  # type: ignore[assignment]
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(*map(line, range(20))))
        await until(lambda: backend.running > 0)
        drop_connections(hosts[0])
        backend.open.set()
        await until(lambda: transactions.away)
        with pytest.raises(openai.InternalServerError) as refused:
            await client.batches.retrieve(batch.id)
        assert (refused.value.status_code, refused.value.code) == (503, "database_away")
        away[0] = False
        await until(lambda: not transactions.away)
        batch = await ended(client, batch.id)
        assert len(await rows(client, batch.output_file_id)) == 20
        assert len(backend.requests) == 20


async def test_a_gateway_stops_though_its_database_is_away(
    serve: Serve, backend: FakeBackend, hosts: list[BatchSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.batches.runner.STOP_S", 0.1)
    backend.open.clear()
    gateway = await serve(backend, batches=hosts[0])
    assert gateway._batches is not None
    transactions = gateway._batches._journal._transactions
    transactions._retry_s = 0.01

    def refuse() -> object:
        raise ConnectionRefusedError

    async with client_of(gateway) as client:
        await begin(client, jsonl(line(0)))
        await until(lambda: backend.running > 0)
    transactions._connect = refuse  # type: ignore[assignment]
    drop_connections(hosts[0])
    await until(lambda: transactions.away)
    async with asyncio.timeout(30):
        await gateway.stop()


async def test_a_server_that_drops_its_connections_costs_no_line(
    serve: Serve, backend: FakeBackend, hosts: list[BatchSettings]
) -> None:
    gateway = await serve(backend, batches=hosts[0])
    assert gateway._batches is not None
    gateway._batches._journal._transactions._retry_s = 0.01
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(*map(line, range(300))))
        drops = 0
        while drops < 8 and not gateway._batches.progress().ended.get("completed"):
            drops += drop_connections(hosts[0])
            await asyncio.sleep(0.02)
        await until(lambda: not gateway._batches.away)  # type: ignore[union-attr]
        batch = await ended(client, batch.id)
        answers = await rows(client, batch.output_file_id)
    assert sorted(one["custom_id"] for one in answers) == sorted(f"c{n}" for n in range(300))
    assert len(backend.requests) == 300
    assert drops > 1


def drop_connections(host: BatchSettings) -> int:
    """End all connections of gateways; returns how many there were."""
    with psycopg.connect(host.database) as database:
        return database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'headway'"
        ).rowcount
