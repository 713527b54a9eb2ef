"""An ONNX graph from tensors to tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headway.models.runners.onnx_session import DATATYPES, run, session
from headway.models.signature import BadItem, Signature, TensorSpec
from headway.models.stacked import Stacked, Tensors


class OnnxGraph:
    """Runs the graph in the file `location`. Raises ModelFailure if it cannot be loaded."""

    def __init__(self, location: str, threads: int) -> None:
        self._session: Any = session(Path(location), threads)
        self.signature = Signature(
            task="tensors",
            platform="onnxruntime_onnx",
            inputs=tuple(map(_spec, self._session.get_inputs())),
            outputs=tuple(map(_spec, self._session.get_outputs())),
            rows=_rows_first(self._session.get_inputs(), self._session.get_outputs()),
        )
        self._stacked = Stacked(self._batch)
        self._names = [spec.name for spec in self.signature.outputs]

    def run(self, items: list[Tensors]) -> list[Tensors]:
        """Return the outputs of each item.

        Raises:
            BadItem: the graph does not take these shapes.
            ModelFailure: it does not return a row for each item.
        """
        if not self.signature.batched:
            return [self._batch(item) for item in items]
        return self._stacked(items)

    def _batch(self, batch: Tensors) -> Tensors:
        try:
            outputs = run(self._session, self._names, {n: _text(a) for n, a in batch.items()})
        except Exception as error:
            if "INVALID_ARGUMENT" in str(error) or "InvalidArgument" in type(error).__name__:
                raise BadItem(str(error)) from None
            raise
        return dict(zip(self._names, outputs, strict=True))


def _rows_first(inputs: list[Any], outputs: list[Any]) -> bool:
    """Whether no output has the axis that comes first in the inputs in another place.

    Exporters name axes: `y` of ["tokens", "rows"] is transposed if `x` is of ["rows", 2].
    """
    first = {of.shape[0] for of in inputs if of.shape and isinstance(of.shape[0], str)}
    return not any(
        of.shape and of.shape[0] not in first and first & set(of.shape[1:]) for of in outputs
    )


def _text(array: np.ndarray) -> np.ndarray:
    """Decode arrays of bytes to the text that onnxruntime takes; return others unchanged."""
    if array.dtype.kind != "O":
        return array
    text = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in array.flat]
    return np.array(text, object).reshape(array.shape)


def _spec(of: Any) -> TensorSpec:
    if of.type.startswith("seq("):
        return TensorSpec(of.name, of.type, (-1,))  # a list with an entry for each row
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in of.shape)
    return TensorSpec(of.name, DATATYPES.get(of.type, of.type), shape)
