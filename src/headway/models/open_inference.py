"""The wire format of the Open Inference Protocol, version 2: JSON and binary tensors.

Headway is both a server and a client of the protocol, so this encodes and decodes both directions.

Source: the V2 REST protocol of KServe, and Triton's binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from headway.models.signature import BadItem

BINARY_LENGTH = "inference-header-content-length"
"""Header with the length of the JSON part of a body; binary tensors follow it."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
"""By datatype of the protocol. BYTES are objects: bytes of any length. BF16 is there where
`ml_dtypes` is, which `headway[models]` installs."""
with suppress(ImportError):
    import ml_dtypes

    DTYPES["BF16"] = np.dtype(ml_dtypes.bfloat16)

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Tensor(msgspec.Struct):
    """A tensor on the wire; `data` in rows, or flat, or in binary after the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: Any = None


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
        _tensors(request.inputs, tail),
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
    described, data = [], []
    for name, array in inputs.items():
        raw = _raw(array)
        described.append(_described(name, array) | {"parameters": {"binary_data_size": len(raw)}})
        data.append(raw)
    head = msgspec.json.encode({"inputs": described, "parameters": {"binary_data_output": True}})
    return head + b"".join(data), len(head)


def encode_response(
    model: str, version: str, request: InferRequest, outputs: Mapping[str, np.ndarray]
) -> tuple[bytes, int | None]:
    """Encode the answer to `request`; also returns the length of its JSON part, None for all."""
    described, data = [], []
    for name, array in outputs.items():
        entry = _described(name, array)
        if request.binary(name):
            raw = _raw(array)
            entry["parameters"] = {"binary_data_size": len(raw)}
            data.append(raw)
        else:
            entry["data"] = _listed(array)
        described.append(entry)
    answer: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": described}
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
    return _tensors(response.outputs, tail)


def datatype_of(array: np.ndarray) -> str:
    """The protocol's datatype for `array`; text is BYTES.

    Raises:
        TypeError: the protocol has none for it.
    """
    if array.dtype.kind in "OSU":
        return "BYTES"
    try:
        return _NAMES[array.dtype]
    except KeyError:
        raise TypeError(f"tensors of {array.dtype} cannot be sent") from None


def typed(data: Any, datatype: str) -> np.ndarray:
    """Convert nested JSON lists to an array; null becomes NaN.

    Raises:
        TypeError, ValueError, OverflowError: the values are not of `datatype`, or the lists are
            ragged. Nothing is rounded, and text is never parsed as a number.
    """
    dtype = DTYPES[datatype]
    if datatype == "BYTES":
        return np.asarray(data, dtype)
    found = np.asarray(data)
    kinds = _KINDS["f" if datatype == "BF16" else dtype.kind]
    fits = not found.size or found.dtype.kind in kinds
    if not fits and not (dtype.kind in "iu" and _all_integers(data)):
        raise TypeError(f"there are values of another type ({found.dtype})")
    if datatype == "BF16":  # numpy does not know that null is no number here
        return np.asarray(data, np.float32).astype(dtype)
    return np.asarray(data, dtype)


def _all_integers(data: Any) -> bool:
    """Whether all values are integers: numpy makes floats of large ones beside small ones."""
    return all(type(value) is int for value in np.asarray(data, object).ravel().tolist())


_KINDS = {"b": "b", "u": "iu", "i": "iu", "f": "fiuO"}
"""By kind of datatype, the numpy kinds of the JSON values that it accepts."""


def _split(body: bytes, json_bytes: int | None) -> tuple[bytes, memoryview]:
    if json_bytes is None:
        return body, memoryview(b"")
    if not 0 <= json_bytes <= len(body):
        raise BadItem(f"{BINARY_LENGTH} is {json_bytes}, and the body has {len(body)} bytes")
    return body[:json_bytes], memoryview(body)[json_bytes:]


def _tensors(described: Sequence[Tensor], tail: memoryview) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    for one in described:
        if one.name in tensors:
            raise BadItem(f"the tensor {one.name!r} is there twice")
        if one.datatype not in DTYPES:
            raise BadItem(
                f"the tensor {one.name!r} has the datatype {one.datatype!r}; there are "
                f"{', '.join(DTYPES)}"
            )
        if not one.shape or min(one.shape) < 0:
            raise BadItem(f"the tensor {one.name!r} has the shape {one.shape}")
        size = one.parameters.get("binary_data_size")
        if size is None:
            tensors[one.name] = _from_list(one)
            continue
        if not isinstance(size, int) or not 0 <= size <= len(tail):
            raise BadItem(
                f"the tensor {one.name!r} has binary_data_size {size}, and {len(tail)} bytes are "
                "left"
            )
        tensors[one.name] = _from_bytes(one, tail[:size])
        tail = tail[size:]
    if len(tail):
        raise BadItem(f"{len(tail)} bytes behind the last tensor belong to none")
    return tensors


def _from_list(one: Tensor) -> np.ndarray:
    if one.data is None:
        raise BadItem(f"the tensor {one.name!r} has neither data nor binary_data_size")
    if one.datatype == "BYTES":
        try:
            flat = _flat(one.data)
        except RecursionError:
            raise BadItem(f"the tensor {one.name!r} is nested too deeply") from None
        if not all(isinstance(value, str) for value in flat):
            raise BadItem(f"the tensor {one.name!r} holds something else than strings")
        array = np.empty(len(flat), object)
        array[:] = [value.encode("utf-8", "surrogatepass") for value in flat]
    else:
        try:
            array = typed(one.data, one.datatype).ravel()
        except (TypeError, ValueError, OverflowError) as error:
            raise BadItem(f"the tensor {one.name!r} is not {one.datatype}: {error}") from None
    return _shaped(one, array)


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    return [value for inner in data for value in _flat(inner)]


def _from_bytes(one: Tensor, raw: memoryview) -> np.ndarray:
    if one.datatype != "BYTES":
        dtype = DTYPES[one.datatype]
        if len(raw) % dtype.itemsize:
            raise BadItem(f"the tensor {one.name!r} ends within a value")
        return _shaped(one, np.frombuffer(raw, dtype))
    values, at = [], 0
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        if end > len(raw):
            raise BadItem(f"the tensor {one.name!r} ends within a value")
        values.append(bytes(raw[at + 4 : end]))
        at = end
    array = np.empty(len(values), object)
    array[:] = values
    return _shaped(one, array)


def _shaped(one: Tensor, flat: np.ndarray) -> np.ndarray:
    expected = 1
    for size in one.shape:
        expected *= size
    if len(flat) != expected:
        raise BadItem(
            f"the tensor {one.name!r} has {len(flat)} values, and its shape {one.shape} has "
            f"{expected}"
        )
    return flat.reshape(one.shape)


def _described(name: str, array: np.ndarray) -> dict[str, Any]:
    return {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}


def _raw(array: np.ndarray) -> bytes:
    if array.dtype.kind not in "OSU":
        return np.ascontiguousarray(array).tobytes()
    values = [_as_bytes(value) for value in array.ravel().tolist()]
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def _listed(array: np.ndarray) -> list[Any]:
    flat: list[Any] = array.ravel().tolist()
    if array.dtype.kind in "OSU":
        return [_as_bytes(value).decode("utf-8", "replace") for value in flat]
    return flat


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
