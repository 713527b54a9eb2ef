"""What is left of an answer, from the prompt's prediction and the part that is there."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.arrays import Floats, State, named, part
from headway.prediction.bins import BIN_TOKENS
from headway.prediction.calibration import Calibration
from headway.prediction.partial import partial
from headway.prediction.trees import Trees

FOLDS = 5
CUTS = tuple(sorted({round(2.0 ** (half_octaves / 2)) for half_octaves in range(8, 27)}))
"""Output tokens at which an answer is looked at again: two to each octave, from 16 on."""


def next_cut(output_tokens: int) -> int:
    """When to look again at an answer that has `output_tokens`."""
    return next((cut for cut in CUTS if cut > output_tokens), 2 * output_tokens)


def standing(text: str, output_tokens: int, asked_items: float, foretold: SizeEstimate) -> Floats:
    """Features of an unfinished answer.

    Args:
        text: so far.
        output_tokens: of it.
        asked_items: list items that the prompt named, 0 if none.
        foretold: output tokens of the whole answer, from the prompt alone.
    """
    rest = foretold.after(output_tokens)
    low, middle, high = (log2(max(1, rest.quantile(q))) for q in (0.1, 0.5, 0.9))
    return np.array(
        [
            *partial(text, output_tokens, asked_items),
            log2(foretold.mean),
            log2(foretold.mean) - log2(output_tokens + 1),
            log2(max(1.0, rest.mean)),
            middle,
            high - low,
        ],
        np.float32,
    )


class Refinement:
    """Tokens still to come, learned from answers that were cut off at CUTS.

    A landmark model (van Houwelingen 2007): among all answers that came so far, how much more
    came, given what was foretold and what the text looks like.
    """

    def __init__(self, trees: Trees, calibration: Calibration) -> None:
        self._trees = trees
        self._calibration = calibration

    @classmethod
    def fit(cls, rows: Floats, left_tokens: np.ndarray, groups: np.ndarray) -> Refinement:
        """Learn from unfinished answers.

        Args:
            rows: a `standing` each.
            left_tokens: that came after it, at least 1.
            groups: a number for each row; those of one prompt are held back together.
        """
        targets = np.log2(left_tokens).astype(np.float32)

        def trees_on(chosen: np.ndarray) -> Trees:
            weights = np.ones(int(chosen.sum()), np.float32)
            return Trees.fit(
                rows[chosen], targets[chosen], weights, rounds=200, learning_rate=0.05, leaves=15
            )

        held_back = np.empty(len(rows), np.float32)
        for fold in range(FOLDS):
            back = groups % FOLDS == fold
            held_back[back] = trees_on(~back).scores(rows[back])
        trees = trees_on(np.ones(len(rows), bool))
        return cls(trees, Calibration.fit(held_back, left_tokens))

    def left(self, rows: Floats) -> list[SizeEstimate]:
        """Output tokens still to come, for each `standing` in `rows`."""
        return [self._calibration.estimate(score) for score in self._trees.scores(rows).tolist()]

    def refined(self, rows: Floats, output_tokens: Sequence[int]) -> list[SizeEstimate]:
        """Output tokens of the whole answers, of which `output_tokens` are there."""
        return [
            SizeEstimate([produced + tokens for tokens in BIN_TOKENS], rest.weights)
            for produced, rest in zip(output_tokens, self.left(rows), strict=True)
        ]

    def state(self) -> State:
        return {
            **named("trees", self._trees.state()),
            **named("calibration", self._calibration.state()),
        }

    @classmethod
    def of(cls, state: State) -> Refinement:
        return cls(Trees.of(part(state, "trees")), Calibration.of(part(state, "calibration")))
