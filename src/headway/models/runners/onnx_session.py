"""An onnxruntime session with the configured number of threads, on a GPU if there is one."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from headway.extras import install_extra
from headway.models.signature import ModelFailure

PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")

DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(bfloat16)": "BF16",
    "tensor(string)": "BYTES",
}
"""Datatypes of the Open Inference Protocol, by onnxruntime's type."""

NUMPY_TYPES = {
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(bool)": np.bool_,
}
"""Of inputs that are made here."""
_ONNX_BFLOAT16 = 16
"""TensorProto.BFLOAT16."""


_POINTER = b"version https://git-lfs"


def session(graph: Path, threads: int) -> Any:
    """An InferenceSession of the file `graph`.

    Raises:
        ModelFailure: onnxruntime is not installed, or cannot load the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ModelFailure(f"onnxruntime is not installed: {install_extra('models')}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while idle take the cores from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without it, sums of INT8 graphs overflow on CPUs that have AVX2 and no VNNI: wrong vectors.
    options.add_session_config_entry("session.x64quantprecision", "1")
    available = onnxruntime.get_available_providers()
    providers = [name for name in PREFERRED if name in available]
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=providers)
    except Exception as error:  # its errors have no common base class
        pointer = next(filter(_is_pointer, (graph, *_data_beside(graph))), None)
        if pointer is not None:
            raise ModelFailure(
                f"{pointer} is a pointer of Git LFS and not the file itself; fetch it with `git "
                "lfs pull`"
            ) from None
        if "xternal data path" in str(error) or "xternal initializer" in str(error):
            raise ModelFailure(
                f"{graph} keeps its weights in another file, which is missing or cut off; put it "
                f"beside the graph under the name that it was exported with ({error})"
            ) from None
        raise ModelFailure(f"{graph} is no ONNX model that can be loaded ({error})") from None


def _is_pointer(file: Path) -> bool:
    """Whether a file is what Git LFS leaves in the place of one that was not fetched."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(_POINTER)) == _POINTER


def _data_beside(graph: Path) -> list[Path]:
    """The files of weights beside a graph, such as model.onnx_data."""
    return sorted(graph.parent.glob(f"{graph.name}?*"))


def run(session: Any, outputs: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Run `session`; unlike onnxruntime's own call, it knows numpy's bfloat16 of ml_dtypes."""
    of = {one.name: one.type for one in (*session.get_inputs(), *session.get_outputs())}
    if "tensor(bfloat16)" not in (of[name] for name in (*outputs, *feed)):
        found: list[np.ndarray] = session.run(list(outputs), dict(feed))
        return found
    import onnxruntime

    make = onnxruntime.OrtValue
    given = {
        name: make.ortvalue_from_numpy_with_onnx_type(
            np.ascontiguousarray(array).view(np.uint16), _ONNX_BFLOAT16
        )
        if array.dtype.name == "bfloat16"
        else make.ortvalue_from_numpy(np.ascontiguousarray(array))
        for name, array in feed.items()
    }
    return [_array(value) for value in session.run_with_ort_values(list(outputs), given)]


def _array(value: Any) -> np.ndarray:
    if value.data_type() != "tensor(bfloat16)":
        array: np.ndarray = value.numpy()
        return array
    import ml_dtypes

    shape = value.shape()
    raw = ctypes.string_at(value.data_ptr(), 2 * prod(shape))
    return np.frombuffer(raw, ml_dtypes.bfloat16).reshape(shape)
