"""As many clients as the limit of open files allows, and some files kept for everything else."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.gateway.conftest import Serve, until
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.raw_client import connected

from headway.gateway.http import descriptors, server

resource = pytest.importorskip("resource")


def test_the_limit_is_raised_as_far_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: wanted.append(limits))
    descriptors.raise_limit()
    assert wanted == [(4096, 4096)]


@pytest.mark.parametrize(
    ("limit", "clients"), [(256, 192), (1024, 768), (4096, 3072), (65536, 64512)]
)
def test_some_files_are_kept(monkeypatch: pytest.MonkeyPatch, limit: int, clients: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    assert descriptors.most_clients() == clients


async def test_one_client_too_many_is_refused_and_logged(
    serve: Serve,
    backend: FakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(server, "most_clients", lambda: 2)
    gateway = await serve(backend, read_timeout_s=5.0)
    host, port = gateway.address.removeprefix("http://").split(":")
    writers = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(2)]
    with caplog.at_level(logging.WARNING, server.__name__):
        async with connected(gateway.address) as third:
            answer = await third.answer()
            assert answer.status == 503
            assert answer.error()["code"] == "too_many_connections"
            await until(lambda: "limit of open files" in caplog.text)
    for writer in writers:
        writer.close()
        await writer.wait_closed()

    async def served() -> bool:
        async with connected(gateway.address) as client:
            client.send(client.request("GET", "/healthz"))
            return (await client.answer()).status == 200

    async with asyncio.timeout(30):
        while not await served():
            pass
