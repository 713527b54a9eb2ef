"""What a model takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["embed", "classify", "rerank", "tensors", "python"]
"""A vector of a text; scores of a text; a score of a pair of texts; tensors to tensors; whatever
the operator's function makes of what it is given."""


class ModelFailure(RuntimeError):
    """A model cannot be loaded, or cannot answer; one sentence for who asked for it."""


class BadItem(ValueError):
    """What was asked is nothing that the model takes; its sender has to change it."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output."""

    name: str
    datatype: str
    """As the Open Inference Protocol names it, such as FP32."""
    shape: tuple[int, ...]
    """-1 where any number goes; the first axis is that of the batch."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a loaded model told about itself."""

    task: Task
    platform: str
    """As Triton names it, such as onnxruntime_onnx."""
    inputs: tuple[TensorSpec, ...] = ()
    """None: whatever comes."""
    outputs: tuple[TensorSpec, ...] = ()
    tokenizer: str = ""
    """JSON of its tokenizer, where it takes texts."""
    max_tokens: int | None = None
    """The longest text."""
    labels: tuple[str, ...] = ()
    """Of a classifier, in the order of its scores."""

    @property
    def takes_text(self) -> bool:
        """Whether its items are token ids, made of texts by its tokenizer."""
        return bool(self.tokenizer)

    @property
    def batched(self) -> bool:
        """Whether the first axis of its tensors is that of a batch, of any size.

        Where it is not, a request's tensors are one item, and run alone.
        """
        return all(spec.shape[:1] == (-1,) for spec in self.inputs)
