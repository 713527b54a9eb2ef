"""A gateway with narrow limits, and the check that nothing has harmed it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.raw_client import GOOD, connected

from headway.gateway.server import Gateway


@pytest.fixture
async def gateway(serve: Serve, backend: FakeBackend) -> Gateway:
    return await serve(backend, max_body_bytes=100_000, read_timeout_s=0.5, hosts=("x",))


@pytest.fixture
async def unharmed(gateway: Gateway) -> AsyncIterator[None]:
    """After the test the server works as before."""
    yield
    async with connected(gateway.address) as client:
        client.send(client.request(body=GOOD))
        assert (await client.answer()).status == 200
    assert not gateway.dispatcher.works
