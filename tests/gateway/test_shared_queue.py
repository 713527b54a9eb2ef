"""Several gateways, one order: they share the slots of a backend through a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.gateway.conftest import ask, until
from tests.gateway.doubles import EnginePool, ExactEngine
from tests.redis_server import RedisServer, redis_server

from headway.core.settings import SchedulerSettings
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.sharing.settings import QueueSettings
from headway.sharing.shared_queue import Mode


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Group:
    """Gateways on one engine."""

    def __init__(self, server: RedisServer, prefix: str, stack: AsyncExitStack) -> None:
        self.server = server
        self._prefix = prefix
        self._stack = stack
        self.gateways: list[Gateway] = []

    async def add(self, engine: ExactEngine, policy: str = "fcfs", **options: Any) -> Gateway:
        """One more gateway, which has joined."""
        settings = GatewaySettings(port=0, scheduler=SchedulerSettings(policy=policy), **options)
        queue = QueueSettings(self.server.url, lease_s=0.8, prefix=self._prefix)
        gateway = Gateway(settings, pool=EnginePool(engine), queue=queue)
        await gateway.start()
        self._stack.push_async_callback(gateway.stop)
        self.gateways.append(gateway)
        await self.shared()
        return gateway

    async def shared(self) -> None:
        """Once all of them get slots as they are granted, and know of each other."""
        await until(
            lambda: all(
                one.queue.mode is Mode.SHARED and one.queue.members == len(self.gateways)
                for one in self.gateways
            )
        )

    def waiting(self) -> int:
        return sum(one.dispatcher.scheduler.waiting() for one in self.gateways)


@pytest.fixture
async def group(redis: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Group]:
    async with AsyncExitStack() as stack:
        yield Group(redis, request.node.name, stack)


async def test_two_gateways_use_the_slots_of_a_backend_once(group: Group) -> None:
    engine = ExactEngine(slots=3)
    engine.url = "http://127.0.0.1:9"
    gateways = [await group.add(engine) for _ in range(2)]
    answers = [ask(gateway, f"{n}") for gateway in gateways for n in range(5)]
    await until(lambda: engine.running == 3 and group.waiting() == 7)
    engine.allow()
    for answer in await asyncio.gather(*answers):
        assert answer.choices[0].text == "0 1 2 "
    assert engine.most_running == 3
