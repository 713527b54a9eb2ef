"""Gateways that keep files and batches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from tests.gateway.conftest import Serve, client_of
from tests.gateway.fake_backend import FakeBackend

from headway.batches.settings import BatchSettings
from headway.gateway.server import Gateway


@pytest.fixture
def kept(tmp_path: Path) -> BatchSettings:
    return BatchSettings(tmp_path / "batches")


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend, kept: BatchSettings) -> Gateway:
    return await serve(backend, batches=kept)


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(gateway) as client:
        yield client
