"""What ServeGen knows of its clients: rates of windows, and distributions of lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headway.lab.simulation.trace import MOST_TOKENS

MOST_IN_A_PROMPT = 10_000
"""Images, say, in one prompt; more are a mistake."""
WINDOW_S = 600.0
"""For which a rate holds."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Arrivals of one client in one window.

    Raises:
        ValueError: a number makes no sense.
    """

    client: int
    start_s: float
    per_s: float
    gaps: str
    """Gamma or Weibull; others are exponential."""
    shape: float
    scale: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.start_s < np.inf and 0.0 <= self.per_s < np.inf):
            raise ValueError("a rate and its window begin at 0")
        if self.shape > 0.0 and not (self.shape < np.inf and 0.0 < self.scale < np.inf):
            raise ValueError("shape and scale are above 0")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Numbers and how often each occurs."""

    tokens: np.ndarray
    weights: np.ndarray
    """Sum to 1."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Lengths:
        """From numbers with weights of any sum above 0. Raises ValueError: they are none."""
        if not pairs:
            raise ValueError("there are no numbers")
        tokens, weights = np.array(pairs, float).T
        if not ((tokens >= 0.0) & (tokens <= MOST_TOKENS) & (weights >= 0.0)).all():
            raise ValueError("numbers and weights are not below 0")
        if not 0.0 < weights.sum() < np.inf:
            raise ValueError("weights have a sum above 0")
        return cls(tokens, weights / weights.sum())

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Whole numbers."""
        return rng.choice(self.tokens, count, p=self.weights).astype(int)


@dataclass(frozen=True, slots=True)
class Media:
    """How many images, say, are in a prompt, and the tokens of each.

    Raises:
        ValueError: they are more than any prompt has.
    """

    count: Lengths
    tokens: Lengths

    def __post_init__(self) -> None:
        if self.count.tokens.max() > MOST_IN_A_PROMPT:
            raise ValueError(f"a prompt has at most {MOST_IN_A_PROMPT:,} of a kind")


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
