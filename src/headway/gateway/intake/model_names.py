"""Which models clients may name: those of backends, those that answer batches, and aliases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headway.engines.pool import BackendPool
from headway.gateway.api.errors import ApiError, no_backend
from headway.gateway.intake.aliases import Aliases


class ModelNames:
    """The names of models, as they are now.

    Args:
        pool: the backends, which know their models.
        batched: names of the models that answer whole batches.
        aliases: the operator's names of models.
    """

    def __init__(self, pool: BackendPool, batched: Sequence[str], aliases: Aliases) -> None:
        self._pool = pool
        self._batched = batched
        self._aliases = aliases

    def model(self, name: str) -> str:
        """The backends' name of the model that the client calls `name`.

        `default` is the first model, unless it is an alias. A backend that has not answered yet may
        have any model: then `name` is accepted, and the request waits for that backend.

        Raises:
            ApiError: 400 if the model answers whole batches, 404 if no backend has it, 503 if no
                backend has ever answered.
        """
        models = self._pool.models()
        asked, name = name, self._aliases.model(name, [*models, *self._batched])
        if name in models:
            return name
        if not models and (self._pool.statuses or not self._batched):
            raise no_backend(asked)
        if name == "default" and models:
            return models[0]
        if name in self._batched:
            raise ApiError(
                400,
                f"The model {name!r} answers whole batches and cannot chat; see /docs for what "
                "it can do.",
                code="wrong_task",
                param="model",
            )
        if any(not status.models for status in self._pool.statuses.values()):
            return name
        meant = repr(name) if name == asked else f"{name!r}, which {asked!r} stands for,"
        names = ", ".join([*(["default"] if models else []), *self.all()])
        raise ApiError(
            404,
            f"The model {meant} does not exist; there are: {names}.",
            code="model_not_found",
            param="model",
        )

    def all(self) -> list[str]:
        """The model names that clients may use, except `default`."""
        return self._aliases.listed([*self._pool.models(), *self._batched])

    def inputs(self, names: Iterable[str]) -> list[list[str]]:
        """What each of the models that clients call so takes: text, and what every backend takes
        beside it on which it may run."""
        models = self._pool.models()
        media: dict[str, frozenset[str]] = {}
        for status in self._pool.statuses.values():
            if status.description is not None and not status.leaving:
                for model in status.models:
                    takes = status.description.takes(model)
                    media[model] = media.get(model, takes) & takes
        known = [*models, *self._batched]
        meant = [self._aliases.model(name, known) for name in names]
        first = models[0] if models else "default"
        found = [media.get(first if one == "default" else one, ()) for one in meant]
        return [["text", *sorted(one, reverse=True)] for one in found]
