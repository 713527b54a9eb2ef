"""What a gateway decided is what the simulator's scheduler decides."""

from __future__ import annotations

import asyncio
import io
from functools import partial
from pathlib import Path

import pytest
from tests.gateway.conftest import HELLO, client_of
from tests.gateway.doubles import EnginePool, ExactEngine

from headway.core.settings import PreemptionSettings, SchedulerSettings
from headway.gateway.server import Gateway
from headway.gateway.settings import GatewaySettings
from headway.store.event_log import LoggedScheduler, read_events, replay


@pytest.mark.parametrize("policy", ["fcfs", "srpt", "gittins", "trail"])
async def test_an_event_log_of_a_gateway_is_decided_alike(tmp_path: Path, policy: str) -> None:
    """Real requests over HTTP, short ones that overtake and preempt long ones among them."""
    log = io.BytesIO()
    eager = PreemptionSettings(min_run_s=0.0)
    settings = GatewaySettings(port=0, scheduler=SchedulerSettings(policy=policy, preemption=eager))
    engine = ExactEngine()
    gateway = Gateway(
        settings, pool=EnginePool(engine), scheduler=partial(LoggedScheduler, log=log)
    )
    await gateway.start()

    async def produce() -> None:
        while True:
            engine.allow(1)
            await asyncio.sleep(0.001)

    producing = asyncio.create_task(produce())
    try:
        async with client_of(gateway) as client:

            async def ask(tokens: int) -> None:
                await client.chat.completions.create(
                    model="counter",
                    messages=HELLO,
                    max_tokens=tokens,
                    extra_headers={"x-headway-expected-tokens": str(tokens)},
                )

            await asyncio.gather(*(ask(tokens) for tokens in (120, 90, 5, 60, 3, 40, 8, 2)))
    finally:
        producing.cancel()
        await gateway.stop()
    path = tmp_path / "events.jsonl"
    path.write_bytes(log.getvalue())
    found = list(replay(list(read_events(path))))
    decisions = sum(len(then) for _, then, _ in found)
    assert decisions >= 8
    if policy == "srpt":
        assert any("preempt" in text for _, then, _ in found for text in then)
    assert any(event.kind == "Stepped" for event, _, _ in found)
    for event, then, now in found:
        assert then == now, event
