"""`/v2`: the Open Inference Protocol, for clients of Triton and KServe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from aiohttp import web

from headway import __version__
from headway.gateway.api.answer import answer, json_answer
from headway.gateway.api.errors import ApiError, shutting_down
from headway.gateway.api.open_inference_wire import (
    ModelMetadata,
    ServerMetadata,
    TensorMetadata,
)
from headway.gateway.http.body import off_loop
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.keys import must_be_admin
from headway.gateway.routes.inference import Inference, wrong
from headway.models.open_inference import (
    BINARY_LENGTH,
    InferRequest,
    classified,
    decode_request,
    encode_response,
)
from headway.models.served import ServedModel
from headway.models.signature import BadItem, ModelFailure, Signature, TensorSpec
from headway.models.wire_tensors import datatype_of

PREFIX = "/v2"
VERSION = "1"
"""The only version of every model."""
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal(error: ApiError) -> web.Response:
    """`error` in the format of this protocol."""
    body = msgspec.json.encode({"error": error.message})
    return answer(body, status=error.status, headers=error.headers)


class OpenInferenceRoutes:
    """Handlers of `/v2` and the paths below it."""

    def __init__(self, inference: Inference, entrance: Entrance) -> None:
        self._inference = inference
        self._entrance = entrance

    def handlers(self) -> dict[str, Handler]:
        """The handlers by their names in the table of routes."""
        return {
            "v2_server": self._server,
            "v2_live": self._live,
            "v2_ready": self._ready,
            "v2_index": self._index,
            "v2_load": self._load,
            "v2_model": self._metadata,
            "v2_model_ready": self._model_ready,
            "v2_config": self._config,
            "v2_infer": self._infer,
            "v2_stats": self._stats,
        }

    async def _server(self, request: web.Request) -> web.Response:
        return json_answer(
            ServerMetadata(name="headway", version=__version__, extensions=list(EXTENSIONS))
        )

    async def _live(self, request: web.Request) -> web.Response:
        return json_answer({"live": True})

    async def _ready(self, request: web.Request) -> web.Response:
        if self._inference.draining:
            raise shutting_down()
        return json_answer({"ready": True})

    async def _index(self, request: web.Request) -> web.Response:
        await self._entrance.admit(request)
        return json_answer([_entry(model) for model in self._inference.catalog])

    async def _load(self, request: web.Request) -> web.Response:
        must_be_admin(self._entrance.caller(request))
        await self._entrance.admit(request)
        model = self._model(request)
        try:
            await (model.load() if request.match_info["verb"] == "load" else model.unload())
        except ModelFailure as error:
            raise ApiError(503, f"{error}.") from None
        return json_answer({})

    async def _metadata(self, request: web.Request) -> web.Response:
        self._entrance.caller(request)
        model = self._model(request)
        return json_answer(_metadata(model, await self._inference.described(model)))

    async def _model_ready(self, request: web.Request) -> web.Response:
        self._entrance.caller(request)
        model = self._model(request)
        if model.error is not None:
            raise ApiError(503, f"{model.error}.")
        return json_answer({"name": model.name, "ready": True})

    async def _config(self, request: web.Request) -> web.Response:
        self._entrance.caller(request)
        model = self._model(request)
        return json_answer(_config(model, await self._inference.described(model)))

    async def _stats(self, request: web.Request) -> web.Response:
        self._entrance.caller(request)
        named = "model" in request.match_info
        models = [self._model(request)] if named else list(self._inference.catalog)
        return json_answer({"model_stats": [_statistics(model) for model in models]})

    async def _infer(self, request: web.Request) -> web.Response:
        admitted = await self._entrance.admit(request)
        urgency = self._inference.urgency(request.headers, admitted.caller)
        model = self._model(request)
        signature = await self._inference.described(model)
        try:
            json_bytes = _json_bytes(request.headers)
            asked = await off_loop(lambda body: decode_request(body, json_bytes), admitted.body)
            items, lengths, shape = await _items(model, signature, asked)
        except BadItem as error:
            raise wrong(error) from None
        results = await self._inference.run(model, items, lengths, urgency)
        outputs = _outputs(model, signature, results, shape)
        missing = asked.outputs.keys() - outputs.keys()
        if missing:
            raise ApiError(
                400, f"The model has no output {min(missing)!r}; it has {', '.join(outputs)}."
            )
        if asked.outputs:
            outputs = {name: outputs[name] for name in asked.outputs}
        try:
            for name, count in asked.classes.items():
                outputs[name] = classified(outputs[name], count, len(shape), signature.labels)
        except BadItem as error:
            raise wrong(error) from None
        try:
            encoded, of_json = encode_response(model.name, VERSION, asked, outputs)
        except TypeError as error:
            raise ApiError(500, f"The model {model.name!r} failed: {error}.") from None
        if of_json is None:
            return answer(encoded)
        headers = {"Inference-Header-Content-Length": str(of_json)}
        return answer(encoded, headers=headers, content_type="application/octet-stream")

    def _model(self, request: web.Request) -> ServedModel:
        """The model in the path. Raises ApiError 404."""
        model = self._inference.model(request.match_info["model"])
        version = request.match_info.get("version", VERSION)
        if version != VERSION:
            raise ApiError(
                404, f"The model {model.name!r} has the version {VERSION}, not {version}."
            )
        return model


def _json_bytes(headers: Mapping[str, str]) -> int | None:
    """Number of bytes of JSON in the body; None: all of it. Raises BadItem."""
    given = headers.get(BINARY_LENGTH)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit()):
        raise BadItem(f"{BINARY_LENGTH} is {given[:40]!r}; it must be a number of bytes")
    return int(given[:18])


async def _items(
    model: ServedModel, signature: Signature, asked: InferRequest
) -> tuple[list[Any], list[int], tuple[int, ...]]:
    """The items of a request, their lengths, and the shape of the batch."""
    checked(signature, asked.inputs)
    if model.tokens is not None:
        texts = asked.inputs["text"]
        shape = texts.shape
        decoded = [value.decode("utf-8", "replace") for value in texts.ravel().tolist()]
        if not decoded or not all(decoded):
            raise BadItem("the tensor 'text' is empty or holds an empty text")
        ids = await model.tokens.of_texts(decoded, None)
        return list(ids), [one.shape[-1] for one in ids], shape
    if not signature.batched:
        return [asked.inputs], [model.length_of(asked.inputs)], ()
    rows = {len(array) for array in asked.inputs.values()}
    if len(rows) > 1 or not rows or rows == {0}:
        raise BadItem(
            "the tensors of a request have the same first size, at least 1; these have "
            f"{', '.join(f'{name}: {array.shape}' for name, array in asked.inputs.items())}"
        )
    (count,) = rows
    if signature.task == "python":  # a function gets plain numbers and bytes, a graph arrays
        items = [{name: array[n] for name, array in asked.inputs.items()} for n in range(count)]
    else:
        items = [{name: a[n, ...] for name, a in asked.inputs.items()} for n in range(count)]
    return items, [model.length_of(item) for item in items], (count,)


def checked(signature: Signature, inputs: Mapping[str, np.ndarray]) -> None:
    """Check that `inputs` match the model's signature.

    Raises:
        BadItem: one is missing or unknown, or has another type or shape.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    if not specs:
        return
    for name in inputs:
        if name not in specs:
            raise BadItem(f"the model has no input {name!r}; it has {', '.join(specs)}")
    for name, spec in specs.items():
        if name not in inputs:
            raise BadItem(f"the input {name!r} is missing")
        array = inputs[name]
        if datatype_of(array) != spec.datatype:
            raise BadItem(
                f"the input {name!r} is {spec.datatype}, and {datatype_of(array)} was sent"
            )
        if not signature.takes_text and not _fits(array, spec):
            raise BadItem(
                f"the input {name!r} has the shape {list(spec.shape)}, and {list(array.shape)} "
                "was sent"
            )


def _fits(array: np.ndarray, spec: TensorSpec) -> bool:
    return array.ndim == len(spec.shape) and all(
        expected in (-1, size) for size, expected in zip(array.shape, spec.shape, strict=True)
    )


def _outputs(
    model: ServedModel, signature: Signature, results: list[Any], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """The results as tensors, with the batch axis first. Raises ApiError 500."""
    try:
        if signature.takes_text:
            name = signature.outputs[0].name
            rows = np.stack([np.asarray(result, np.float32) for result in results])
            return {name: rows.reshape(*shape, -1)}
        if not shape:
            return {name: np.asarray(value) for name, value in results[0].items()}
        if all(isinstance(result, Mapping) for result in results):
            return {name: np.stack([np.asarray(r[name]) for r in results]) for name in results[0]}
        return {"OUTPUT__0": np.stack([_array(result) for result in results])}
    except (KeyError, ValueError, TypeError) as error:
        raise ApiError(
            500, f"The model {model.name!r} did not return tensors of one shape ({error})."
        ) from None


def _array(result: Any) -> np.ndarray:
    array = np.asarray(result)
    return array.astype(object) if array.dtype.kind in "SU" else array


def _metadata(model: ServedModel, signature: Signature) -> ModelMetadata:
    return ModelMetadata(
        name=model.name,
        versions=[VERSION],
        platform=signature.platform,
        inputs=[_in_metadata(spec) for spec in signature.inputs],
        outputs=[_in_metadata(spec) for spec in signature.outputs],
    )


def _config(model: ServedModel, signature: Signature) -> dict[str, Any]:
    most = model.settings.limits.largest if signature.batched else 0

    def described(spec: TensorSpec) -> dict[str, Any]:
        return {
            "name": spec.name,
            "data_type": f"TYPE_{'STRING' if spec.datatype == 'BYTES' else spec.datatype}",
            "dims": list(spec.shape[1:] if most else spec.shape),
        }

    return {
        "name": model.name,
        "platform": signature.platform,
        "max_batch_size": most,
        "input": [described(spec) for spec in signature.inputs],
        "output": [described(spec) for spec in signature.outputs],
    }


def _in_metadata(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(spec.name, spec.datatype, list(spec.shape))


def _statistics(model: ServedModel) -> dict[str, Any]:
    """As Triton has them; waiting and computing are counted by item."""
    of, none = model.statistics, {"count": 0, "ns": 0}

    def counted(count: int, total_s: float) -> dict[str, int]:
        return {"count": count, "ns": round(total_s * 1e9)}

    return {
        "name": model.name,
        "version": VERSION,
        "last_inference": of.last_ms,
        "inference_count": model.items,
        "execution_count": model.batches,
        "inference_stats": {
            "success": counted(of.succeeded, of.succeeded_s),
            "fail": counted(of.failed, of.failed_s),
            "queue": counted(model.items, model.waited_s),
            "compute_input": none,
            "compute_infer": counted(model.items, model.computed_s),
            "compute_output": none,
            "cache_hit": none,
            "cache_miss": none,
        },
        "batch_stats": [],
    }


def _entry(model: ServedModel) -> dict[str, str]:
    state = "READY" if model.loaded else "UNAVAILABLE"
    reason = str(model.error) if model.error is not None else ""
    if not model.loaded and not reason:
        reason = "unloaded; it is loaded when it is first requested"
    return {"name": model.name, "version": VERSION, "state": state, "reason": reason}
