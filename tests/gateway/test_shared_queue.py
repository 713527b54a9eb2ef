"""Several gateways, one order: they share the slots of a backend through a real Redis."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, patch

import aiohttp
import openai
import pytest
from tests.gateway.conftest import ask, until
from tests.gateway.doubles import EnginePool, ExactEngine
from tests.gateway.fake_backend import FakeBackend
from tests.redis_server import RedisServer

from headway.core.settings import PreemptionSettings, SchedulerSettings
from headway.engines.backend_status import BackendStatus
from headway.engines.endpoint import Endpoint
from headway.gateway.api.errors import ApiError
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.sharing.mode import Mode
from headway.sharing.settings import QueueSettings

FCFS = SchedulerSettings(policy="fcfs")
LEASE_S = 2.4
"""Short, since gateways wait for one at the start; longer than machines of tests stand still."""


class Group:
    """Gateways on one engine."""

    def __init__(self, server: RedisServer, prefix: str, stack: AsyncExitStack) -> None:
        self.server = server
        self.prefix = prefix
        self._stack = stack
        self.gateways: list[Gateway] = []

    async def add(
        self,
        engine: ExactEngine | EnginePool | Endpoint,
        scheduler: SchedulerSettings = FCFS,
        *,
        others: int = 0,
        **options: Any,
    ) -> Gateway:
        """One more gateway, which has joined those here and so many others."""
        settings = GatewaySettings(port=0, scheduler=scheduler, **options)
        queue = QueueSettings(self.server.url, lease_s=LEASE_S, prefix=self.prefix)
        if isinstance(engine, Endpoint):
            gateway = Gateway(settings, [engine], queue=queue)
        else:
            pool = engine if isinstance(engine, EnginePool) else EnginePool(engine)
            gateway = Gateway(settings, pool=pool, queue=queue)
        await gateway.start()
        self._stack.push_async_callback(gateway.stop)
        self.gateways.append(gateway)
        await self.shared(others)
        return gateway

    async def shared(self, others: int = 0) -> None:
        """Once all of them get slots as they are granted, and know of each other."""
        await until(
            lambda: all(
                one.queue.mode is Mode.SHARED and one.queue.members == len(self.gateways) + others
                for one in self.gateways
            )
        )

    def waiting(self) -> int:
        return sum(one.dispatcher.scheduler.waiting() for one in self.gateways)


@pytest.fixture
async def group(redis: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Group]:
    async with AsyncExitStack() as stack:
        yield Group(redis, request.node.name, stack)


@pytest.fixture
def engine() -> ExactEngine:
    engine = ExactEngine(slots=3)
    engine.url = "http://127.0.0.1:9"
    return engine


def tier(name: str) -> dict[str, Any]:
    return {"extra_headers": {"x-headway-tier": name}}


def text(tokens: int) -> str:
    return "".join(f"{number} " for number in range(tokens))


async def answered(*answers: asyncio.Task[Any], tokens: int = 3) -> None:
    """Every answer is complete, whatever its request went through."""
    async with asyncio.timeout(30):
        for answer in await asyncio.gather(*answers):
            assert answer.choices[0].text == text(tokens)


async def test_two_gateways_use_the_slots_of_a_backend_once(
    group: Group, engine: ExactEngine
) -> None:
    gateways = [await group.add(engine) for _ in range(2)]
    answers = [ask(gateway, f"{n}") for gateway in gateways for n in range(5)]
    await until(lambda: engine.running == 3 and group.waiting() == 7)
    engine.allow()
    await answered(*answers)
    assert engine.most_running == 3


async def test_the_first_come_of_all_gateways_is_served_first(
    group: Group, engine: ExactEngine
) -> None:
    engine.description = replace(engine.description, slots=1)
    one, other = [await group.add(engine) for _ in range(2)]
    running = ask(one, "runs")
    await until(lambda: engine.running == 1)
    order: list[str] = []
    answers = []
    for number, gateway in enumerate([other, one, other, one]):
        answers.append(ask(gateway, f"{number}"))
        answers[-1].add_done_callback(lambda _, number=number: order.append(str(number)))
        await until(lambda: group.waiting() == len(answers))
    engine.allow()
    await answered(running, *answers)
    assert order == ["0", "1", "2", "3"]
    assert engine.most_running == 1


async def test_a_batch_line_here_gives_way_to_an_interactive_request_there(
    group: Group, engine: ExactEngine
) -> None:
    settings = SchedulerSettings(policy="fcfs", preemption=PreemptionSettings(min_run_s=0.0))
    engine.description = replace(engine.description, slots=1)
    one, other = [await group.add(engine, settings) for _ in range(2)]
    line = ask(one, "line", 200, **tier("batch"))
    await until(lambda: engine.running == 1)
    engine.allow(2)
    await until(lambda: [w.output_tokens for w in one.dispatcher.works.values()] == [2])
    question = ask(other, "question", **tier("interactive"))
    await until(lambda: len(other.dispatcher.works) == 1 and group.waiting() == 1)
    await until(lambda: bool(other.dispatcher.scheduler.running()))
    engine.allow(3)
    await answered(question)
    engine.allow()
    await answered(line, tokens=200)
    assert engine.starts == [0, 0, 2]
    assert engine.most_running == 1


async def test_the_slots_of_a_dead_gateway_are_others_within_its_lease(
    group: Group, engine: ExactEngine
) -> None:
    dead, alive = [await group.add(engine) for _ in range(2)]
    lost = [ask(dead, f"{n}") for n in range(3)]
    await until(lambda: engine.running == 3)
    answer = ask(alive, "alive")
    await until(lambda: group.waiting() == 1)
    await go_silent(dead)
    for work in list(dead.dispatcher.works.values()):
        work.turn.fail(ApiError(500, "dead"))
        work.turn.stop(ApiError(500, "dead"))
    await until(lambda: engine.running == 1)
    engine.allow()
    await answered(answer)
    for one in lost:
        with pytest.raises(openai.APIError):
            await one


GATEWAY = """
import asyncio, sys
from headway.engines.backend_status import BackendStatus
from headway.engines.endpoint import Endpoint
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.sharing.settings import QueueSettings

async def main(backend, url, prefix, lease_s):
    queue = QueueSettings(url, lease_s=float(lease_s), prefix=prefix)
    endpoint = Endpoint("b", backend, max_concurrency=3)
    gateway = Gateway(GatewaySettings(port=0), [endpoint], queue=queue)
    await gateway.start()
    print(gateway.address, flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_process_that_is_killed_among_three_gives_its_slots_back(
    group: Group, stack: AsyncExitStack
) -> None:
    backend = FakeBackend()
    await backend.start()
    stack.push_async_callback(backend.stop)
    backend.open.clear()
    arguments = [backend.url, group.server.url, group.prefix, str(LEASE_S)]
    process = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, *arguments], stdout=subprocess.PIPE, text=True
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    address = (await asyncio.to_thread(process.stdout.readline)).strip()
    endpoint = Endpoint("b", backend.url, max_concurrency=3)
    gateways = [await group.add(endpoint, others=1) for _ in range(2)]
    http = await stack.enter_async_context(aiohttp.ClientSession())
    question = {"model": "fake", "prompt": "x"}

    def asked(at: str) -> asyncio.Task[aiohttp.ClientResponse]:
        return asyncio.ensure_future(http.post(f"{at}/v1/completions", json=question))

    lost = [asked(address) for _ in range(3)]
    await until(lambda: backend.running == 3)
    answers = [asked(one.address) for one in gateways for _ in range(3)]
    await until(lambda: group.waiting() == 6)
    process.kill()
    await until(lambda: backend.aborted == 3)
    await until(lambda: sum(one.dispatcher.scheduler.running() for one in gateways) == 3)
    backend.open.set()
    assert [(await answer).status for answer in answers] == [200] * 6
    for one in lost:
        with pytest.raises(aiohttp.ClientError):
            await one


async def test_a_gateway_that_was_taken_for_dead_uses_only_what_it_is_granted_anew(
    group: Group, engine: ExactEngine
) -> None:
    late, other = [await group.add(engine) for _ in range(2)]
    its = [ask(late, f"{n}", 50) for n in range(3)]
    await until(lambda: engine.running == 3)
    others = [ask(other, f"{n}", 50) for n in range(2)]
    await until(lambda: group.waiting() == 2)
    late.queue._beat._stopped.set()  # its heart stops, and it does not notice
    await until(lambda: other.dispatcher.scheduler.running() == 2)
    late.queue._ask_again()  # as after its next beat
    await until(lambda: engine.running == 3 and late.dispatcher.scheduler.running() == 1)
    engine.allow()
    await answered(*its, *others, tokens=50)


async def test_a_redis_that_comes_back_empty_learns_what_runs(
    group: Group, engine: ExactEngine
) -> None:
    gateways = [await group.add(engine) for _ in range(3)]
    answers = [ask(gateway, f"{n}") for gateway in gateways for n in range(4)]
    await until(lambda: engine.running == 3)
    group.server.kill()
    group.server.start()
    await until(lambda: all(one.queue.mode is not Mode.SHARED for one in gateways))
    await group.shared()
    engine.allow()
    await answered(*answers)
    assert engine.most_running == 3


async def test_without_redis_each_goes_on_with_its_share_and_says_so(
    group: Group, engine: ExactEngine, caplog: pytest.LogCaptureFixture
) -> None:
    gateways = [await group.add(engine) for _ in range(3)]
    greedy = [ask(gateways[0], f"{n}", 40) for n in range(3)]
    await until(lambda: engine.running == 3)
    group.server.kill()
    others = [ask(gateway, "other", 40) for gateway in gateways[1:]]
    await until(lambda: [one.dispatcher.scheduler.running() for one in gateways] == [1, 1, 1])
    assert "going on without the other gateways" in caplog.text
    group.server.start()
    await group.shared()
    engine.allow()
    await answered(*greedy, *others, tokens=40)
    assert engine.most_running == 3


async def test_a_redis_that_hangs_is_one_that_is_gone(group: Group, engine: ExactEngine) -> None:
    gateways = [await group.add(engine) for _ in range(3)]
    group.server.freeze()
    answers = [ask(gateway, f"{n}") for gateway in gateways for n in range(2)]
    await until(lambda: engine.running == 3)
    engine.allow(9)
    await answered(*answers[::2])
    group.server.thaw()
    await group.shared()
    engine.allow()
    await answered(*answers)
    assert engine.most_running == 3


async def test_the_slots_of_two_backends_are_all_used(group: Group) -> None:
    engines = [ExactEngine("one", slots=1), ExactEngine("two", slots=2)]
    for port, engine in enumerate(engines, 9):
        engine.url = f"http://127.0.0.1:{port}"
    gateways = [await group.add(EnginePool(*engines)) for _ in range(2)]
    answers = [ask(gateway, f"{n}") for gateway in gateways for n in range(3)]
    await until(lambda: [engine.running for engine in engines] == [1, 2])
    for engine in engines:
        engine.allow()
    await answered(*answers)
    assert [engine.most_running for engine in engines] == [1, 2]


class OwnPool(EnginePool):
    """Engines that are child processes of their gateway."""

    async def start(self, on_change: Callable[[BackendStatus], None]) -> None:
        await super().start(lambda status: on_change(replace(status, own=True)))


async def test_an_engine_of_one_gateway_alone_is_not_shared(group: Group) -> None:
    engines = [ExactEngine(slots=1), ExactEngine(slots=1)]
    gateways = [await group.add(OwnPool(engine)) for engine in engines]
    answers = [ask(gateway, f"{n}") for gateway in gateways for n in range(2)]
    await until(lambda: [engine.running for engine in engines] == [1, 1])
    for engine in engines:
        engine.allow()
    await answered(*answers)


async def test_requests_at_a_cap_leave_slots_to_others(group: Group, engine: ExactEngine) -> None:
    capped = SchedulerSettings(policy="fcfs", tenant_max_running=1)
    gateways = [await group.add(engine, capped) for _ in range(2)]
    answers = [ask(gateway, f"{n}") for gateway in gateways for n in range(4)]
    await until(lambda: engine.running == 2 and group.waiting() == 6)
    engine.allow()
    await answered(*answers)
    assert engine.most_running == 2


async def test_gateways_that_see_different_slots_use_the_least(
    group: Group, engine: ExactEngine, caplog: pytest.LogCaptureFixture
) -> None:
    other = ExactEngine(slots=1)
    other.url = engine.url
    generous, _ = [await group.add(one) for one in (engine, other)]
    answers = [ask(generous, f"{n}") for n in range(3)]
    await until(lambda: "has 3 slots here and 1 at another gateway" in caplog.text)
    engine.allow()
    await answered(*answers)
    assert engine.most_running == 1


async def test_the_view_of_the_queue_knows_of_the_other_gateways(
    group: Group, engine: ExactEngine, stack: AsyncExitStack
) -> None:
    one, other = [await group.add(engine) for _ in range(2)]
    answers = [ask(one, f"{n}") for n in range(5)]
    await until(lambda: engine.running == 3)
    answers.append(ask(other, "x"))
    await until(lambda: len(other.dispatcher.works) == 1 and other.queue.waiting == (0, 2, 0))
    http = await stack.enter_async_context(aiohttp.ClientSession())
    async with http.get(f"{other.address}/v1/headway/queue") as got:
        view = await got.json()
    elsewhere = {"interactive": 0, "standard": 2, "batch": 0}
    assert view["gateways"] == {"mode": "shared", "number": 2, "waiting_elsewhere": elsewhere}
    assert view["requests"][0]["why"].endswith(
        "; 2 of its tier or a higher one wait at other gateways"
    )
    async with http.get(f"{other.address}/metrics") as got:
        metrics = await got.text()
    assert "headway_gateways 2.0" in metrics
    assert "headway_gateway_apart 0.0" in metrics
    engine.allow()
    await answered(*answers)


async def test_a_request_with_a_key_is_answered_once_whichever_gateway_is_asked(
    group: Group, engine: ExactEngine
) -> None:
    gateways = [await group.add(engine) for _ in range(2)]
    key = {"extra_headers": {"idempotency-key": "order 17"}}
    first = ask(gateways[0], "x", **key)
    await until(lambda: engine.running == 1)
    second = ask(gateways[1], "x", **key)
    engine.allow()
    await answered(first, second, ask(gateways[1], "x", **key))
    assert len(engine.starts) == 1
    with pytest.raises(openai.UnprocessableEntityError, match="another request"):
        await ask(gateways[1], "y", **key)


async def test_a_request_with_a_key_whose_gateway_died_is_answered_by_the_next(
    group: Group, engine: ExactEngine
) -> None:
    dead, alive = [await group.add(engine) for _ in range(2)]
    key = {"extra_headers": {"idempotency-key": "order 18"}}
    lost = ask(dead, "x", **key)
    await until(lambda: engine.running == 1)
    await go_silent(dead)
    again = ask(alive, "x", **key)
    await until(lambda: engine.running == 2)
    engine.allow()
    await answered(lost, again)


async def test_a_client_that_leaves_while_its_key_is_claimed_holds_up_nobody(
    group: Group, engine: ExactEngine
) -> None:
    one, other = [await group.add(engine) for _ in range(2)]
    key = {"extra_headers": {"idempotency-key": "order 19"}}
    answers, claimed = one.queue.answers, asyncio.Event()
    call = answers.call

    async def call_and_hang(key: str, event: str, *said: Any) -> Any:
        given = await call(key, event, *said)
        if event == "claim":
            claimed.set()
            await asyncio.Event().wait()
        return given

    with patch.object(answers, "call", call_and_hang):
        first = ask(one, "x", **key)
        await claimed.wait()
        first.cancel()
        engine.allow()
        await answered(ask(other, "x", **key))


async def test_gateways_that_both_answered_a_key_give_the_same_answer_ever_after(
    group: Group, engine: ExactEngine
) -> None:
    asleep, other = [await group.add(engine) for _ in range(2)]
    key = {"extra_headers": {"idempotency-key": "order 20"}}
    answers = [ask(asleep, "x", **key)]
    await until(lambda: engine.running == 1)
    with patch.object(asleep.queue.answers, "call", side_effect=ConnectionError):
        answers.append(ask(other, "x", **key))  # once the claim of the first has lapsed
        await until(lambda: engine.running == 2)
    engine.allow()
    await answered(*answers)
    answers += [ask(gateway, "x", **key) for gateway in (asleep, other)]
    assert len({answer.id for answer in await asyncio.gather(*answers)}) == 1
    assert len(engine.starts) == 2


async def go_silent(gateway: Gateway) -> None:
    """As if its process had been killed: no call, no sign of life, no farewell."""
    queue = gateway.queue
    assert queue is not None
    queue._beat.stop()
    for task in queue._tasks:
        task.cancel()
    await asyncio.wait(queue._tasks)
    queue._token = 0
    queue.answers.call = AsyncMock(side_effect=ConnectionError)
