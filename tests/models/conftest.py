"""Models that are run by real worker processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from tests.models.functions_source import function

from headway.core.batching import BatchingSettings
from headway.models.instances import Instances
from headway.models.served import ServedModel
from headway.models.source import ModelSource

Served = Callable[..., ServedModel]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Serve a function of `functions.py`: `served("upper", instances=2, batching…)`."""
    async with AsyncExitStack() as stack:

        def serve(
            name: str,
            instances: int = 1,
            unload_after_s: float | None = None,
            source: ModelSource | None = None,
            threads: int = 1,
            **batching: object,
        ) -> ServedModel:
            backing = Instances(source or function(name), instances, threads)
            settings = BatchingSettings(**batching)
            model = ServedModel(name, backing, settings, unload_after_s)
            stack.push_async_callback(model.close)
            return model

        yield serve


async def answers(model: ServedModel, items: list[object], **asked: object) -> list[object]:
    """The results of `model` for `items`."""
    return await model.run(items, [1] * len(items), **asked)
