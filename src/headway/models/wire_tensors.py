"""Tensors in the Open Inference Protocol: their datatypes, and their data as JSON and in binary."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from headway.models.signature import BadItem

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


def tensors_of(sent: Sequence[Tensor], tail: memoryview) -> dict[str, np.ndarray]:
    """The tensors by name; `tail` holds those that are in binary, one after the other.

    Raises:
        BadItem: the data of one do not fit its datatype or shape.
    """
    tensors: dict[str, np.ndarray] = {}
    for one in sent:
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


def described(name: str, array: np.ndarray) -> dict[str, Any]:
    """A tensor in JSON, without its data."""
    return {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}


def as_raw(array: np.ndarray) -> bytes:
    """The data in binary."""
    if array.dtype.kind not in "OSU":
        return np.ascontiguousarray(array).tobytes()
    values = [_as_bytes(value) for value in array.ravel().tolist()]
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def as_list(array: np.ndarray) -> list[Any]:
    """The data in JSON: a flat list."""
    flat: list[Any] = array.ravel().tolist()
    if array.dtype.kind in "OSU":
        return [_as_bytes(value).decode("utf-8", "replace") for value in flat]
    return flat


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
