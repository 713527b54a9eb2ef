"""The messages of the Open Inference Protocol, version 2: JSON, and tensors in binary behind it.

Headway is both a server and a client of the protocol, so this encodes and decodes both directions.

Source: the V2 REST protocol of KServe, and Triton's binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from headway.models.signature import BadItem
from headway.models.wire_tensors import (
    Tensor,
    as_list,
    as_raw,
    datatype_of,
    described,
    tensors_of,
)

BINARY_LENGTH = "inference-header-content-length"
"""Header with the length of the JSON part of a body; binary tensors follow it."""


class RequestedOutput(msgspec.Struct):
    """An output that a request asks for, and how."""

    name: str
    parameters: dict[str, Any] = {}


class InferenceRequest(msgspec.Struct):
    """The JSON of POST /v2/models/NAME/infer; without `outputs` all are answered."""

    inputs: list[Tensor]
    outputs: list[RequestedOutput] = []
    id: str = ""
    parameters: dict[str, Any] = {}


class InferenceResponse(msgspec.Struct):
    """The JSON of its answer."""

    outputs: list[Tensor]
    model_name: str = ""
    model_version: str = ""
    id: str = ""


_decoder = msgspec.json.Decoder(InferenceRequest)
_response_decoder = msgspec.json.Decoder(InferenceResponse)


@dataclass(slots=True)
class InferRequest:
    """A decoded inference request."""

    inputs: dict[str, np.ndarray]
    """By name; the first axis is the batch."""
    outputs: dict[str, bool] = field(default_factory=dict)
    """Requested outputs, and whether in binary; empty: all."""
    classes: dict[str, int] = field(default_factory=dict)
    """Outputs that are requested as their largest values, and how many of them."""
    all_binary: bool = False
    """Whether outputs are requested in binary for which nothing else is said."""
    id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def binary(self, output: str) -> bool:
        """Whether `output` is requested in binary."""
        return self.outputs.get(output, self.all_binary)


def decode_request(body: bytes, json_bytes: int | None) -> InferRequest:
    """Decode a client's request.

    Args:
        body: JSON, then any binary tensors.
        json_bytes: length of the JSON part; None: all of it.

    Raises:
        BadItem: it is not an inference request, or the data of a tensor do not fit its shape.
    """
    head, tail = _split(body, json_bytes)
    try:
        request = _decoder.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadItem(f"the request is no inference request: {error}") from None
    if not request.inputs:
        raise BadItem("the request has no inputs")
    for parameters in (request.parameters, *(o.parameters for o in request.outputs)):
        _must_be_supported(parameters)
    binary = bool(request.parameters.get("binary_data_output"))
    return InferRequest(
        tensors_of(request.inputs, tail),
        {o.name: bool(o.parameters.get("binary_data", binary)) for o in request.outputs},
        {o.name: _classes(o) for o in request.outputs if o.parameters.get("classification")},
        binary,
        request.id,
        request.parameters,
    )


def _must_be_supported(parameters: Mapping[str, Any]) -> None:
    """Nothing, if `parameters` ask for nothing that would change the answer. Raises BadItem."""
    for name in _UNSUPPORTED:
        if parameters.get(name):
            raise BadItem(f"the parameter {name} is not supported; send the tensors themselves")


_UNSUPPORTED = ("sequence_id", "sequence_start", "sequence_end", "shared_memory_region")
"""Of Triton: state between requests, and tensors in memory that both can reach."""


def _classes(output: RequestedOutput) -> int:
    count = output.parameters["classification"]
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise BadItem(f"classification of {output.name!r} is {count!r}; it is a number of classes")
    return count


def classified(array: np.ndarray, count: int, axes: int, labels: Sequence[str]) -> np.ndarray:
    """The largest values of each row, as `value:index`, or `value:index:label` where it has one.

    Args:
        array: an output.
        count: how many, or as many as there are.
        axes: of the batch, 0 or more; the others are one row.
        labels: of the values of a row; empty: none.

    Raises:
        BadItem: it holds no numbers.

    Source: Triton's classification extension.
    """
    if array.dtype.kind not in "iuf":
        raise BadItem(f"an output of {datatype_of(array)} cannot be classified")
    rows = array.reshape(*array.shape[:axes], -1)
    best = np.argsort(-rows.astype(np.float64), axis=-1, kind="stable")[..., :count]
    found = np.empty(best.shape, object)
    for at in np.ndindex(*best.shape):
        index = int(best[at])
        value = rows[at[:-1]][index]
        text = f"{float(value):f}" if array.dtype.kind == "f" else str(int(value))
        label = f":{labels[index]}" if index < len(labels) else ""
        found[at] = f"{text}:{index}{label}".encode()
    return found


def encode_request(inputs: Mapping[str, np.ndarray]) -> tuple[bytes, int]:
    """Encode a request with all tensors in binary; also returns the length of its JSON part."""
    entries, data = [], []
    for name, array in inputs.items():
        raw = as_raw(array)
        entries.append(described(name, array) | {"parameters": {"binary_data_size": len(raw)}})
        data.append(raw)
    head = msgspec.json.encode({"inputs": entries, "parameters": {"binary_data_output": True}})
    return head + b"".join(data), len(head)


def encode_response(
    model: str, version: str, request: InferRequest, outputs: Mapping[str, np.ndarray]
) -> tuple[bytes, int | None]:
    """Encode the answer to `request`; also returns the length of its JSON part, None for all."""
    entries, data = [], []
    for name, array in outputs.items():
        entry = described(name, array)
        if request.binary(name):
            raw = as_raw(array)
            entry["parameters"] = {"binary_data_size": len(raw)}
            data.append(raw)
        else:
            entry["data"] = as_list(array)
        entries.append(entry)
    answer: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": entries}
    if request.id:
        answer["id"] = request.id
    head = msgspec.json.encode(answer)
    return head + b"".join(data), len(head) if data else None


def decode_response(body: bytes, json_bytes: int | None) -> dict[str, np.ndarray]:
    """Decode a server's answer to its outputs, by name.

    Raises:
        BadItem: it is not an inference response.
    """
    head, tail = _split(body, json_bytes)
    try:
        response = _response_decoder.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadItem(f"the answer is no inference response: {error}") from None
    return tensors_of(response.outputs, tail)


def _split(body: bytes, json_bytes: int | None) -> tuple[bytes, memoryview]:
    if json_bytes is None:
        return body, memoryview(b"")
    if not 0 <= json_bytes <= len(body):
        raise BadItem(f"{BINARY_LENGTH} is {json_bytes}, and the body has {len(body)} bytes")
    return body[:json_bytes], memoryview(body)[json_bytes:]
