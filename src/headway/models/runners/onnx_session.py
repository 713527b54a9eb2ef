"""An onnxruntime session with the configured number of threads, on a GPU if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    "tensor(string)": "BYTES",
}
"""Datatypes of the Open Inference Protocol, by onnxruntime's type."""


def session(graph: Path, threads: int) -> Any:
    """An InferenceSession of the file `graph`.

    Raises:
        ModelFailure: onnxruntime is not installed, or cannot load the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ModelFailure("onnxruntime is not installed: pip install 'headway[models]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while idle take the cores from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = onnxruntime.get_available_providers()
    providers = [name for name in PREFERRED if name in available]
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=providers)
    except Exception as error:  # its errors have no common base class
        raise ModelFailure(f"{graph} is no ONNX model that can be loaded ({error})") from None
