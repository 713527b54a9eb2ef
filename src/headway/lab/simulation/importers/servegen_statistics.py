"""What ServeGen knows of its clients: rates of windows, and distributions of lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

WINDOW_S = 600.0
"""For which a rate holds."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Arrivals of one client in one window."""

    client: int
    start_s: float
    per_s: float
    gaps: str
    """Gamma or Weibull; others are exponential."""
    shape: float
    scale: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """Numbers and how often each occurs."""

    tokens: np.ndarray
    weights: np.ndarray
    """Sum to 1."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Lengths:
        """From numbers with weights of any sum above 0."""
        tokens, weights = np.array(pairs, float).T
        return cls(tokens, weights / weights.sum())

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Whole numbers."""
        return rng.choice(self.tokens, count, p=self.weights).astype(int)


@dataclass(frozen=True, slots=True)
class Media:
    """How many images, say, are in a prompt, and the tokens of each."""

    count: Lengths
    tokens: Lengths


@dataclass(frozen=True, slots=True)
class Window:
    """Lengths of one client's requests from some time on."""

    start_s: float
    text: Lengths
    output: Lengths
    media: Sequence[Media] = field(default=())

    def prompts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Tokens of prompts, with those of all that is in them."""
        tokens = self.text.draw(rng, count)
        for kind in self.media:
            counts = kind.count.draw(rng, count)
            each = kind.tokens.draw(rng, int(counts.sum()))
            np.add.at(tokens, np.repeat(np.arange(count), counts), each)
        return tokens


@dataclass(frozen=True, slots=True)
class Statistics:
    """All clients."""

    rates: Sequence[Rate]
    lengths: Mapping[int, Sequence[Window]]
    """Of each client."""
