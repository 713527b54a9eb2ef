"""An ONNX graph from tensors to tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headway.models.runners.onnx_session import DATATYPES, session
from headway.models.signature import BadItem, Signature, TensorSpec
from headway.models.stacked import Tensors, run_stacked


class OnnxGraph:
    """Runs the graph in the file `location`. Raises ModelFailure if it cannot be loaded."""

    def __init__(self, location: str, threads: int) -> None:
        self._session: Any = session(Path(location), threads)
        self.signature = Signature(
            task="tensors",
            platform="onnxruntime_onnx",
            inputs=tuple(map(_spec, self._session.get_inputs())),
            outputs=tuple(map(_spec, self._session.get_outputs())),
        )
        self._names = [spec.name for spec in self.signature.outputs]

    def run(self, items: list[Tensors]) -> list[Tensors]:
        """Return the outputs of each item. Raises BadItem for shapes the graph does not take."""
        if not self.signature.batched:
            return [self._batch(item) for item in items]
        return run_stacked(items, self._batch)

    def _batch(self, batch: Tensors) -> Tensors:
        try:
            outputs = self._session.run(self._names, {n: _text(a) for n, a in batch.items()})
        except Exception as error:
            if "INVALID_ARGUMENT" in str(error) or "InvalidArgument" in type(error).__name__:
                raise BadItem(str(error)) from None
            raise
        return dict(zip(self._names, outputs, strict=True))


def _text(array: np.ndarray) -> np.ndarray:
    """Decode arrays of bytes to the text that onnxruntime takes; return others unchanged."""
    if array.dtype.kind != "O":
        return array
    text = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in array.flat]
    return np.array(text, object).reshape(array.shape)


def _spec(of: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in of.shape)
    return TensorSpec(of.name, DATATYPES.get(of.type, of.type), shape)
