"""How late the event loop is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from tests.gateway.conftest import until

from headway.gateway.accounts.loop_lag import EVERY_S, LoopLag

NAME = "headway_event_loop_lag_seconds"


@pytest.fixture
async def registry() -> AsyncIterator[CollectorRegistry]:
    registry = CollectorRegistry()
    lag = LoopLag(registry)
    lag.start()
    yield registry
    await lag.stop()


def value(registry: CollectorRegistry, name: str) -> float:
    return registry.get_sample_value(f"{NAME}_{name}") or 0.0


async def test_a_free_loop_is_measured_again_and_again(registry: CollectorRegistry) -> None:
    await until(lambda: value(registry, "count") >= 2.0)


async def test_a_blocked_loop_is_noticed(registry: CollectorRegistry) -> None:
    await asyncio.sleep(0)  # it begins to sleep
    time.sleep(EVERY_S + 0.3)
    await until(lambda: value(registry, "count") >= 1.0)
    assert value(registry, "sum") >= 0.25


async def test_nothing_is_left_of_one_that_never_began() -> None:
    await LoopLag(CollectorRegistry()).stop()
