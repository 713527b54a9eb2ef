"""What a model takes and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Task = Literal["embed", "classify", "rerank", "tensors", "python"]
"""A text to a vector; a text to scores; a pair of texts to a score; tensors to tensors; anything,
by the operator's function."""

Activation = Literal["softmax", "sigmoid", "none"]
"""What makes scores of a classifier's logits."""
Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
"""How two vectors are compared; of distances, the negative."""


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
class Prompts:
    """What is written before texts, by name.

    Source: sentence-transformers 6.2, `encode_query` and `encode_document`.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    """The name of the prompt of texts for which none is named; None: no prompt."""
    counted: bool = True
    """Whether the tokens of a prompt count for the vector of its text."""

    def named(self, name: str | None) -> str:
        """The prompt of that name; None: of the default one.

        Raises:
            BadItem: there is none of that name.
        """
        name = self.default if name is None else name
        if name is None:
            return ""
        if name not in self.texts:
            raise BadItem(
                f"the model has no prompt {name!r}; it has {', '.join(self.texts) or 'none'}"
            )
        return self.texts[name]

    @property
    def of_queries(self) -> str:
        """The prompt of what is searched for."""
        return self._first("query")

    @property
    def of_documents(self) -> str:
        """The prompt of what is searched."""
        return self._first("document", "passage", "corpus")

    def _first(self, *names: str) -> str:
        return self.named(next((name for name in names if name in self.texts), None))


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
    cut_at_start: bool = False
    """Whether a text that is cut loses its beginning, not its end."""
    labels: tuple[str, ...] = ()
    """Labels of a classifier, in the order of its scores."""
    activation: Activation = "softmax"
    """Makes the scores of a classifier, or of a model of pairs, of its logits."""
    prompts: Prompts = field(default_factory=Prompts)
    similarity: Similarity = "cosine"
    """How its vectors are compared."""
    rows: bool = True
    """Whether its outputs may have a row for each item of a batch; shapes of -1 do not say it."""

    @property
    def takes_text(self) -> bool:
        """Whether its items are token ids, which its tokenizer makes from texts."""
        return bool(self.tokenizer)

    @property
    def batched(self) -> bool:
        """Whether the first axis of its tensors, outputs included, is a batch of any size.

        If not, the tensors of a request are one item, which runs alone.
        """
        specs = (*self.inputs, *self.outputs)
        return self.rows and all(spec.shape[:1] == (-1,) for spec in specs)
