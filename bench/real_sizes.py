"""Sizes of real requests: prompts, and the lengths of what a model answered to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headway.prediction.learning.examples import joined, load_folder

CHARACTERS_PER_TOKEN = 4.0
"""Of English prompts; the sets count the tokens of answers only."""


def data() -> Path:
    """Where the real data is."""
    return Path(os.environ.get("HEADWAY_DATA", "../shared/data"))


@dataclass(frozen=True)
class Sizes:
    """Tokens of prompts and of their answers, one row a request."""

    prompts: np.ndarray
    outputs: np.ndarray

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, chosen: np.ndarray) -> Sizes:
        """Some of them: by number, or where `chosen` is true."""
        return Sizes(self.prompts[chosen], self.outputs[chosen])


def drawn(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many of `rows` in random order; one more than once only where there are fewer."""
    return rng.choice(rows, count, replace=count > len(rows))


def sizes_of(columns: Sequence[tuple[str, str]]) -> Sizes:
    """All that are answered of each (set, model) of `$HEADWAY_DATA/text`."""
    folder = data() / "text"
    examples = joined([load_folder(folder / name, model) for name, model in columns])
    characters = np.array([len(prompt.text) for prompt in examples.prompts])
    prompts = np.maximum(1, np.rint(characters / CHARACTERS_PER_TOKEN)).astype(int)
    return Sizes(prompts, examples.lengths.astype(int))
