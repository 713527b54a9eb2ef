"""What a model takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["embed", "classify", "rerank", "tensors", "python"]
"""A text to a vector; a text to scores; a pair of texts to a score; tensors to tensors; anything,
by the operator's function."""


class ModelFailure(RuntimeError):
    """A model cannot be loaded or failed to answer; the message is one sentence for the client."""


class BadItem(ValueError):
    """An item that the model does not take; the client must change it."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output."""

    name: str
    datatype: str
    """In the Open Inference Protocol's terms, such as FP32."""
    shape: tuple[int, ...]
    """-1 for an axis of any size; the first axis is the batch."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A loaded model's description of itself."""

    task: Task
    platform: str
    """In Triton's terms, such as onnxruntime_onnx."""
    inputs: tuple[TensorSpec, ...] = ()
    """Empty: anything."""
    outputs: tuple[TensorSpec, ...] = ()
    tokenizer: str = ""
    """JSON of its tokenizer, if it takes texts."""
    max_tokens: int | None = None
    """Length of the longest text in tokens."""
    labels: tuple[str, ...] = ()
    """Labels of a classifier, in the order of its scores."""

    @property
    def takes_text(self) -> bool:
        """Whether its items are token ids, which its tokenizer makes from texts."""
        return bool(self.tokenizer)

    @property
    def batched(self) -> bool:
        """Whether the first axis of its tensors is a batch of any size.

        If not, the tensors of a request are one item, which runs alone.
        """
        return all(spec.shape[:1] == (-1,) for spec in self.inputs)
