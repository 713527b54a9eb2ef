"""`/v1/models/NAME:predict`: JSON in, JSON out, as in TensorFlow Serving and KServe."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import answer
from headway.gateway.api.errors import ApiError
from headway.gateway.api.wire import PredictRequest
from headway.gateway.http.body import off_loop, parsed
from headway.gateway.intake.entrance import Entrance
from headway.gateway.routes.inference import Inference, wrong
from headway.models.items import items_of
from headway.models.signature import BadItem

_decoder = msgspec.json.Decoder(PredictRequest)


class PredictRoute:
    """Instances in, predictions out; a Python function gets the instances unchanged."""

    def __init__(self, inference: Inference, entrance: Entrance) -> None:
        self._inference = inference
        self._entrance = entrance

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {"predict": self.predict}

    async def predict(self, request: web.Request) -> web.Response:
        """Answer with the predictions. Raises ApiError."""
        admitted = await self._entrance.admit(request)
        call = await off_loop(lambda body: parsed(body, _decoder), admitted.body)
        urgency = self._inference.urgency(request.headers, admitted.caller)
        model = self._inference.model(request.match_info["model"])
        signature = await self._inference.described(model)
        try:
            items = await items_of(call.instances, signature, model.tokens)
        except BadItem as error:
            raise wrong(error, "instances") from None
        lengths = [model.length_of(item) for item in items]
        results = await self._inference.run(model, items, lengths, urgency)
        try:
            predictions = msgspec.json.encode({"predictions": results}, enc_hook=_plain)
        except (TypeError, ValueError) as error:
            raise ApiError(
                500,
                f"The model {model.name!r} returned a value that JSON cannot represent: {error}.",
                type="server_error",
                code="model_failed",
            ) from None
        return answer(predictions)


def _plain(value: Any) -> Any:
    """Arrays and numbers of numpy as plain Python values."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")
