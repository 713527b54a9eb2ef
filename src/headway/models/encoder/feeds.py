"""What a graph of texts takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headway.models.encoder.folder import EncoderFolder
from headway.models.runners.onnx_session import NUMPY_TYPES
from headway.models.signature import ModelFailure

FED = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
"""All that follows from the token ids."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts in a rectangle; their own tokens come first."""

    ids: np.ndarray
    """(texts, tokens) of int64."""
    types: np.ndarray
    """Which text of a pair a token is of."""
    mask: np.ndarray
    """1 for a text's own tokens, 0 for padding."""
    counted: np.ndarray
    """The same, and 0 for the tokens of a prompt where those do not count."""


def is_typed(folder: EncoderFolder) -> bool:
    """Whether the tokenizer in `folder` says which text of a pair a token is of.

    `tokenizer.json` always does; transformers passes it on only where the tokenizer's class or
    `model_input_names` has it.
    """
    names = folder.tokenizer_config.get("model_input_names")
    if isinstance(names, list):
        return "token_type_ids" in names
    # The class that transformers 5 writes where it knows no other.
    return folder.tokenizer_config.get("tokenizer_class") != "TokenizersBackend"


class Feeds:
    """Makes the inputs of a graph.

    Args:
        inputs: of the session.
        graph: its file.
        padding: id of the padding token.
        offset: position of the first token.
        typed: whether the model's tokenizer says which text of a pair a token is of.

    Raises:
        ModelFailure: the graph takes something else than what follows from token ids.
    """

    def __init__(
        self, inputs: list[Any], graph: Path, padding: int, offset: int, typed: bool = True
    ) -> None:
        shapes = {of.name: list(of.shape) for of in inputs}
        if "input_ids" not in shapes:
            raise ModelFailure(
                f"{graph} takes {', '.join(shapes)}, not input_ids; take the tokenizer out "
                "of its folder to serve it as a model of tensors"
            )
        if "decoder_input_ids" in shapes:
            raise ModelFailure(
                f"{graph} has a decoder, too; export the model's encoder alone, as optimum's "
                "encoder_model.onnx of a text2text-generation model is, and name that file"
            )
        unknown = [name for name in shapes if name not in FED]
        if unknown:
            raise ModelFailure(
                f"{graph} takes {', '.join(unknown)} as well, which does not follow from a text; "
                "export it for feature-extraction, without a cache"
            )
        for name, shape in shapes.items():
            if len(shape) != 2:
                raise ModelFailure(f"{graph} takes {name} of shape {shape}, not texts by tokens")
        rows, tokens = shapes["input_ids"]
        self.alone = rows == 1
        """Whether it takes one text at a time."""
        if isinstance(rows, int) and rows > 1:
            raise ModelFailure(
                f"{graph} takes exactly {rows} texts at a time; export it with a batch of any size"
            )
        self.tokens = tokens if isinstance(tokens, int) and tokens > 0 else None
        """The number of tokens that it takes, padding among them; None: any."""
        self._types = {of.name: NUMPY_TYPES[of.type] for of in inputs if of.type in NUMPY_TYPES}
        if len(self._types) < len(inputs):
            raise ModelFailure(f"{graph} takes {', '.join(of.type for of in inputs)}")
        self._padding = padding
        self._offset = offset
        self._typed = typed

    def probe(self) -> Batch:
        """Two texts of three tokens, or as near to it as the graph takes."""
        tokens = min(3, self.tokens or 3)
        return self.batch([np.zeros(tokens, np.int32)] * (1 if self.alone else 2))

    def batch(self, items: list[np.ndarray]) -> Batch:
        """`items` in a rectangle.

        Args:
            items: token ids (tokens,), or rows of them: ids, types and, where a prompt does not
                count, 1 for the tokens that do.
        """
        width = self.tokens or max(item.shape[-1] for item in items)
        shape = (len(items), width)
        ids = np.full(shape, self._padding, np.int64)
        mask, types, counted = (np.zeros(shape, np.int64) for _ in range(3))
        for row, item in enumerate(items):
            rows = item if item.ndim == 2 else item[None]
            tokens = rows.shape[1]
            ids[row, :tokens] = rows[0]
            mask[row, :tokens] = 1
            types[row, :tokens] = rows[1] if len(rows) > 1 and self._typed else 0
            counted[row, :tokens] = rows[2] if len(rows) > 2 else 1
        return Batch(ids, types, mask, counted)

    def of(self, batch: Batch) -> Mapping[str, np.ndarray]:
        """The graph's inputs for `batch`."""
        counted = np.cumsum(batch.mask, axis=1) - 1 + self._offset
        positions = np.where(batch.mask > 0, counted, max(self._offset - 1, 0))
        given = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": batch.types,
            "position_ids": positions,
        }
        return {name: given[name].astype(dtype, copy=False) for name, dtype in self._types.items()}
