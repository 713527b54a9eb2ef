"""All models that are served, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from headway.models.served import ServedModel


class Catalog:
    """The models of one gateway.

    Args:
        models: in the order in which they are listed.
        preloaded: names of the models to load at the start.

    Raises:
        ValueError: two models have the same name.
    """

    def __init__(
        self, models: Sequence[ServedModel] = (), preloaded: frozenset[str] = frozenset()
    ) -> None:
        self._models = {model.name: model for model in models}
        if len(self._models) < len(models):
            raise ValueError("two models have the same name; give each its own")
        self._preloaded = preloaded
        self.started = False
        """Whether all preloaded models are loaded."""

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def get(self, name: str) -> ServedModel | None:
        """The model of that name, or None."""
        return self._models.get(name)

    def first(self) -> ServedModel | None:
        """The model that `default` means."""
        return next(iter(self), None)

    async def start(self) -> None:
        """Load the preloaded models.

        Raises:
            ModelFailure: a model cannot be loaded.
        """
        await asyncio.gather(*(model.load() for model in self if model.name in self._preloaded))
        self.started = True

    async def close(self) -> None:
        """Close all models."""
        await asyncio.gather(*(model.close() for model in self))
