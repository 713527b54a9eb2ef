"""Models on another server as backends: here another Headway, by both of its protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from tests.gateway.conftest import Serve, catalog_of

from headway.cli.models import backing_of
from headway.config.models import ModelConfig
from headway.core.batching import BatchingSettings
from headway.gateway.server import Gateway
from headway.models.predict_server import PredictServer
from headway.models.served import ServedModel
from headway.models.signature import BadItem, ModelFailure


@asynccontextmanager
async def remote(url: str, name: str) -> AsyncIterator[ServedModel]:
    backing = backing_of(ModelConfig(name=name, path=url, instances=2))
    model = ServedModel(name, backing, BatchingSettings())
    yield model
    await model.close()


def items(*rows: float) -> list[dict[str, np.ndarray]]:
    return [{"x": np.array([row, row], np.float32)} for row in rows]


async def test_its_batches_run_there(serve: Serve) -> None:
    gateway: Gateway = await serve(catalog=catalog_of("tensors"))
    async with remote(gateway.address, "tensors") as model:
        found = await model.run(items(1, 2, 3), [1, 1, 1])
        assert [float(one["sum"]) for one in found] == [2, 4, 6]
        await model.unload()
        assert float((await model.run(items(4), [1]))[0]["sum"]) == 8


async def test_what_the_server_says_of_a_failure_is_told(serve: Serve) -> None:
    gateway: Gateway = await serve(catalog=catalog_of("few"))
    async with remote(gateway.address, "few") as model:
        (error,) = await model.run(items(1), [1])
        assert isinstance(error, ModelFailure) and "returned 0 results" in str(error)
    async with remote(f"{gateway.address}/v2/models/nope", "mine") as model:
        (error,) = await model.run(items(1), [1])
        assert isinstance(error, ModelFailure)
        assert "answers 404: The model 'nope' does not exist" in str(error)


async def test_a_server_that_is_not_there_is_told() -> None:
    async with remote("http://127.0.0.1:9", "m") as model:
        with pytest.raises(ModelFailure, match="cannot be reached"):
            await model.load()


async def test_predictions_come_from_a_server_that_takes_instances(serve: Serve) -> None:
    gateway: Gateway = await serve(catalog=catalog_of("upper", "Picky"))
    async with remote(f"{gateway.address}/v1/models/upper", "mine") as model:
        assert (await model.load()).task == "python"
        assert await model.run(["a", "b"], [1, 1]) == ["A", "B"]
    async with remote(f"{gateway.address}/v1/models/Picky", "mine") as model:
        good, bad = await model.run(["fine", "poison"], [1, 1])
        assert not isinstance(good, Exception)
        assert isinstance(bad, BadItem) and "answers 400: Poison is not taken" in str(bad)


async def test_tensors_are_sent_as_lists_where_instances_are_taken(serve: Serve) -> None:
    gateway: Gateway = await serve(catalog=catalog_of("upper"))
    async with remote(f"{gateway.address}/v1/models/upper", "mine") as model:
        assert await model.run(items(1), [1]) == ["{'X': [1.0, 1.0]}"]


def test_a_server_that_has_no_version_ready_is_told() -> None:
    told = b'{"model_version_status": [{"version": "1", "state": "LOADING"}]}'
    with pytest.raises(ValueError, match="no version"):
        PredictServer().signature(told)
