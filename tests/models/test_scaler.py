"""Instances come and go with the work that waits, and nothing is lost of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.gateway.conftest import until
from tests.models.conftest import answers
from tests.models.functions_source import function

from headway.core.batching import Batcher, BatchingSettings, Limits
from headway.models.instances import Instances
from headway.models.scaler import Scaler
from headway.models.served import ServedModel

Scaled = Callable[..., ServedModel]


class Quick(Scaler):
    """Counts on quick starts, however busy the machine is."""

    def begin(self, batcher: Batcher, start_s: float) -> None:
        super().begin(batcher, 0.05)


@pytest.fixture
async def scaled() -> AsyncIterator[Scaled]:
    """Serve a function by one to three instances, an item a batch: `scaled("gated")`."""
    async with AsyncExitStack() as stack:

        def serve(name: str, idle_s: float = 0.2, least: int = 1) -> ServedModel:
            instances = Instances(function(name), least, threads=1)
            settings = BatchingSettings(Limits(max_size=1))
            scaler = Quick(name, instances, 3, idle_s)
            model = ServedModel(name, instances, settings, scaler=scaler)
            stack.push_async_callback(model.close)
            return model

        yield serve


async def test_instances_come_while_work_waits_and_go_when_it_is_done(
    scaled: Scaled, tmp_path: Path
) -> None:
    model = scaled("gated")
    await model.load()
    assert model.instances == 1
    gates = [str(tmp_path / name) for name in "abcde"]
    waiting = [asyncio.ensure_future(answers(model, [gate])) for gate in gates]
    await until(lambda: model.instances == 3)
    assert len(set(model.backing.pids())) == 3
    await until(lambda: model.batches == 3)
    for gate in gates:
        Path(gate).touch()
    assert await asyncio.gather(*waiting) == [[gate] for gate in gates]
    await until(lambda: model.instances == 1)
    assert len(model.backing.pids()) == 1
    assert model.backing.restarts == 0


async def test_no_more_than_can_run_at_a_time_are_started(scaled: Scaled, tmp_path: Path) -> None:
    model = scaled("gated")
    gates = [str(tmp_path / name) for name in "ab"]
    waiting = [asyncio.ensure_future(answers(model, [gate])) for gate in gates]
    await until(lambda: model.batches == 2)
    assert model.instances == 2
    for gate in gates:
        Path(gate).touch()
    await asyncio.gather(*waiting)


async def test_it_begins_with_the_least_whenever_it_is_loaded(
    scaled: Scaled, tmp_path: Path
) -> None:
    model = scaled("gated", idle_s=60.0, least=2)
    gates = [str(tmp_path / name) for name in "abc"]
    waiting = [asyncio.ensure_future(answers(model, [gate])) for gate in gates]
    await until(lambda: model.instances == 3)
    for gate in gates:
        Path(gate).touch()
    await asyncio.gather(*waiting)
    await model.unload()
    assert model.instances == 0
    await model.load()
    assert model.instances == 2


async def test_an_instance_that_is_too_many_ends_after_its_batch(tmp_path: Path) -> None:
    instances = Instances(function("gated"), 2, threads=1)
    await instances.load()
    gates = [str(tmp_path / name) for name in "ab"]
    running = [asyncio.ensure_future(instances.run([gate])) for gate in gates]
    await asyncio.sleep(0)  # both are sent
    instances.resize(1)
    assert len(instances.pids()) == 2
    for gate in gates:
        Path(gate).touch()
    assert await asyncio.gather(*running) == [[gate] for gate in gates]
    assert len(instances.pids()) == 1
    await instances.unload()


async def test_an_instance_that_is_wanted_no_more_when_it_has_started_ends() -> None:
    instances = Instances(function("upper"), 1, threads=1)
    await instances.load()
    alive: list[int] = []
    instances.on_change = lambda count, error: alive.append(count)
    instances.resize(3)
    instances.resize(2)
    await until(lambda: alive[-2:] == [3, 2])
    assert len(instances.pids()) == 2
    await instances.unload()
