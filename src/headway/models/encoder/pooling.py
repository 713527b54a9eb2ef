"""From the vectors of tokens to the vector of their text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headway.models.encoder.folder import EncoderFolder, must_know, read_object
from headway.models.signature import BadItem, ModelFailure

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""Of sentence-transformers, in the order in which the vectors of several are joined."""
_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The spelling before sentence-transformers 5.4."""
_KEYS = {"embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt"}


@dataclass(frozen=True, slots=True)
class Pooling:
    """One or several modes; the vectors of several are joined.

    Source: sentence-transformers 6.2, `Pooling`.
    """

    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    """Whether the tokens of a prompt count."""
    width: int | None = None
    """Width of a token's vector, as the configuration has it."""

    def __call__(self, tokens: np.ndarray, mask: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """The vectors of texts, (texts, modes x width).

        Args:
            tokens: (texts, tokens, width), in single precision: half of it overflows in a sum.
            mask: (texts, tokens), 1 for a text's own tokens, which come first, and 0 for padding.
            counted: the same, and 0 for the tokens of a prompt if those do not count.

        Raises:
            BadItem: a text has nothing that counts.
        """
        if not counted.any(axis=1).all():
            raise BadItem("nothing is left of the text behind its prompt; cut it less")
        return np.concatenate([self._of(mode, tokens, mask, counted) for mode in self.modes], 1)

    @staticmethod
    def _of(mode: str, tokens: np.ndarray, mask: np.ndarray, counted: np.ndarray) -> np.ndarray:
        rows = np.arange(len(tokens))
        found: np.ndarray
        if mode == "cls":
            found = tokens[rows, counted.argmax(axis=1)]
        elif mode == "lasttoken":
            found = tokens[rows, mask.sum(axis=1) - 1]
        elif mode == "max":
            found = np.where(counted[:, :, None] > 0, tokens, -np.inf).max(axis=1)
        else:
            weights = counted.astype(np.float32)
            if mode == "weightedmean":  # a later token counts more: it has seen more
                weights *= np.arange(1, weights.shape[1] + 1, dtype=np.float32)
            # Padding may hold anything, even what is no number.
            known = np.where(counted[:, :, None] > 0, tokens, np.float32(0))
            total = weights.sum(axis=1, keepdims=True)
            found = (weights[:, None] @ known)[:, 0]
            found /= np.sqrt(total) if mode == "mean_sqrt_len_tokens" else total
        return found


def pooling_of(folder: EncoderFolder) -> Pooling:
    """How the model in `folder` pools; without a word of it, by the mean.

    Raises:
        ModelFailure: it pools in a way that Headway does not know.
    """
    if folder.modules is None:
        place = folder.path / "1_Pooling"
        return _pooling(read_object(place / "config.json"), place / "config.json")
    named = [module for module in folder.modules if module.kind == "Pooling"]
    if not named:
        return Pooling()
    return _pooling(named[0].config, named[0].place / "config.json")


def _pooling(config: Mapping[str, Any], place: Path) -> Pooling:
    must_know(config, _KEYS | _OLD_KEYS.keys(), place)
    given = config.get("pooling_mode")
    if given is None:
        given = [mode for key, mode in _OLD_KEYS.items() if config.get(key)] or "mean"
    modes = (given,) if isinstance(given, str) else tuple(given)
    for mode in modes or ("none",):
        if mode not in MODES:
            raise ModelFailure(
                f"{place} pools by {mode!r}, which Headway does not know; there are "
                f"{', '.join(MODES)}"
            )
    width = config.get("embedding_dimension", config.get("word_embedding_dimension"))
    return Pooling(
        modes=modes,
        include_prompt=bool(config.get("include_prompt", True)),
        width=int(width) if width else None,
    )
