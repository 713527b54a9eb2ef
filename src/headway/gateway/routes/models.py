"""Which models there are, for clients of OpenAI and of Anthropic."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import json_answer
from headway.gateway.api.wire import Architecture, Model, ModelList
from headway.gateway.intake.entrance import Entrance
from headway.gateway.intake.model_names import ModelNames
from headway.gateway.routes.inference import Inference
from headway.gateway.routes.messages import is_anthropic_client, model_info, model_list


class ModelsRoutes:
    """Handlers of `/v1/models`.

    Args:
        entrance: authenticates requests.
        models: the names of models.
        inference: knows those that answer whole batches.
    """

    def __init__(self, entrance: Entrance, models: ModelNames, inference: Inference) -> None:
        self._entrance = entrance
        self._models = models
        self._inference = inference
        self._since = int(time.time())

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "models": self.all,
            "model": self.one,
        }

    async def all(self, request: web.Request) -> web.Response:
        """All models."""
        self._entrance.caller(request)
        names = self._models.all()
        names = ["default", *names] if names else names
        if is_anthropic_client(request):
            return json_answer(model_list(names, self._since))
        return json_answer(ModelList(data=self._views(names)))

    async def one(self, request: web.Request) -> web.Response:
        """One model. Raises ApiError 404."""
        self._entrance.caller(request)
        name = request.match_info["model"]
        if name == "default" or not self._inference.serves(name):
            model = self._models.model(name)
            name = model if name == "default" else name
        if is_anthropic_client(request):
            return json_answer(model_info(name, self._since))
        (found,) = self._views([name])
        return json_answer(found)

    def _views(self, names: list[str]) -> list[Model]:
        return [
            Model(id=name, created=self._since, architecture=Architecture(input_modalities=takes))
            for name, takes in zip(names, self._models.inputs(names), strict=True)
        ]
