"""`/v1/models/NAME:predict`: JSON in, JSON out, as TensorFlow Serving and KServe take it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from headway.gateway.body import parsed
from headway.gateway.errors import ApiError
from headway.gateway.http_message import HttpRequest, Response
from headway.gateway.inference import Inference, wrong
from headway.gateway.wire import PredictRequest
from headway.models.open_inference import typed
from headway.models.signature import BadItem, Signature, TensorSpec

PREDICT = ":predict"

_decoder = msgspec.json.Decoder(PredictRequest)


class PredictRoute:
    """Instances in, predictions out; a Python function gets them as they are."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    async def predict(self, http: HttpRequest) -> Response:
        """Raises ApiError."""
        name = http.path.removeprefix("/v1/models/").removesuffix(PREDICT)
        call = parsed(self._inference.body(http), _decoder)
        urgency = self._inference.urgency(http.headers)
        model = self._inference.model(name)
        signature = await self._inference.described(model)
        if model.tokens is not None:
            texts = [one for one in call.instances if isinstance(one, str) and one]
            if len(texts) < len(call.instances):
                raise _wrong("this model takes instances that are texts")
            try:
                items: list[Any] = list(await model.tokens.of_texts(texts, None))
            except BadItem as error:
                raise wrong(error, "instances") from None
            lengths = [len(ids) for ids in items]
        elif signature.task == "tensors":
            items = [_tensors(one, signature) for one in call.instances]
            lengths = [1] * len(items)
        else:
            items = call.instances
            lengths = [len(one) or 1 if isinstance(one, (str, list)) else 1 for one in items]
        results = await self._inference.run(model, items, lengths, urgency)
        try:
            body = msgspec.json.encode({"predictions": results}, enc_hook=_plain)
        except (TypeError, ValueError) as error:
            raise ApiError(
                500,
                f"The model {model.name!r} returned what JSON cannot say: {error}.",
                type="server_error",
                code="model_failed",
            ) from None
        return Response(body)


def _tensors(instance: Any, signature: Signature) -> dict[str, np.ndarray]:
    """One item of a model of tensors."""
    specs = {spec.name: spec for spec in signature.inputs}
    if not isinstance(instance, dict):
        if len(specs) > 1:
            raise _wrong(f"an instance is an object with {', '.join(specs)}")
        instance = {next(iter(specs), "INPUT__0"): instance}
    if specs and instance.keys() != specs.keys():
        raise _wrong(f"an instance is an object with {', '.join(specs)}")
    return {name: _array(name, value, specs.get(name)) for name, value in instance.items()}


def _array(name: str, value: Any, spec: TensorSpec | None) -> np.ndarray:
    try:
        array = np.asarray(value) if spec is None else typed(value, spec.datatype)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _wrong(f"the input {name!r} is no tensor ({error})") from None
    return array.astype(np.float32) if spec is None and array.dtype == np.float64 else array


def _wrong(message: str) -> ApiError:
    text = message[:1].upper() + message[1:]
    return ApiError(400, f"{text}.", code="invalid_value", param="instances")


def _plain(value: Any) -> Any:
    """Arrays and numbers of numpy as JSON knows them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")
