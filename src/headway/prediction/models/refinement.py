"""What is left of an answer, from the prompt's prediction and the part that is there."""

from __future__ import annotations

from math import log2
from zlib import crc32

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.arrays import Floats, State
from headway.prediction.models.trees import Trees
from headway.prediction.texts.partial import NAMES, partial

PSEUDO_ANSWERS = 30.0
PSEUDO_VARIANCE = 0.25
"""In octaves squared: as much as a refinement usually says."""
REMEMBERED = 2000.0
CUTS = tuple(sorted({round(2.0 ** (half_octaves / 2)) for half_octaves in range(8, 27)}))
"""Output tokens at which an answer is looked at again: two to each octave, from 16 on."""
_PREDICTED = ("longer_than_there", "mean_over_middle", "spread")
"""What stands beside the text's numbers in a `standing`."""


def next_cut(output_tokens: int) -> int:
    """When to look again at an answer that has `output_tokens`."""
    return next((cut for cut in CUTS if cut > output_tokens), 2 * output_tokens)


def standing(text: str, output_tokens: int, asked_items: float, predicted: SizeEstimate) -> Floats:
    """Features of an unfinished answer, beside what is predicted of its rest.

    Args:
        text: so far.
        output_tokens: of it.
        asked_items: list items that the prompt named, 0 if none.
        predicted: output tokens of the whole answer, from the prompt alone.
    """
    rest = predicted.after(output_tokens)
    low, middle, high = (log2(rest.quantile(q)) for q in (0.1, 0.5, 0.9))
    return np.array(
        [
            *partial(text, output_tokens, asked_items),
            log2(predicted.mean) - log2(output_tokens + 1),
            log2(rest.mean) - middle,
            high - low,
        ],
        np.float32,
    )


def fingerprint() -> str:
    """Changes with the numbers of a `standing`: a refinement fits only those of its own."""
    return f"{crc32(repr((*NAMES, *_PREDICTED)).encode()):08x}"


def middle_octaves(predicted: SizeEstimate, output_tokens: int) -> float:
    """log2 of the median of what is predicted of the rest."""
    return log2(predicted.after(output_tokens).quantile(0.5))


def stretched(predicted: SizeEstimate, output_tokens: int, octaves: float) -> SizeEstimate:
    """Output tokens of an answer of which `output_tokens` are there.

    What is predicted of the rest, made longer by so many `octaves`.
    """
    rest, factor = predicted.after(output_tokens), 2.0**octaves
    weights: dict[int, float] = {}
    for tokens, weight in zip(rest.tokens, rest.weights, strict=True):
        whole = output_tokens + max(1, round(tokens * factor))
        weights[whole] = weights.get(whole, 0.0) + weight
    return SizeEstimate(list(weights), list(weights.values()))


class Refinement:
    """By how much the rest of an answer is longer than predicted, learned from answers cut off.

    A landmark model (van Houwelingen 2007): among all answers that came so far, how much more
    came, given what was predicted and what the text looks like. It is relative, so that it holds
    for models that write more, or less, than those it was learned from.
    """

    def __init__(self, trees: Trees) -> None:
        self._trees = trees

    @classmethod
    def fit(cls, rows: Floats, octaves: np.ndarray) -> Refinement:
        """Learn from unfinished answers.

        Args:
            rows: a `standing` each.
            octaves: log2 of the tokens that came after it, less `middle_octaves`.
        """
        weights = np.ones(len(rows), np.float32)
        targets = octaves.astype(np.float32)
        return cls(Trees.fit(rows, targets, weights, rounds=100, learning_rate=0.05, leaves=15))

    def octaves(self, rows: Floats) -> list[float]:
        """By how many octaves the rest is longer than predicted, for each `standing` in `rows`."""
        octaves: list[float] = self._trees.scores(rows).tolist()
        return octaves

    def state(self) -> State:
        return self._trees.state()

    @classmethod
    def of(cls, state: State) -> Refinement:
        return cls(Trees.of(state))


class Correction:
    """How far to follow a refinement for one model: a straight line, fitted as answers come.

    Least squares with forgetting. It begins as one that has seen PSEUDO_ANSWERS for which the
    refinement was worth nothing, so that a model which writes unlike those that the refinement
    was learned from is not misjudged for long.
    """

    def __init__(self) -> None:
        self._sums = [0.0] * 5
        """Of 1, what was said, what was seen, said squared, and said times seen."""

    def of(self, octaves: float) -> float:
        """What to make of `octaves` that the refinement says."""
        count = self._sums[0] + PSEUDO_ANSWERS
        said, seen, said_said, said_seen = (total / count for total in self._sums[1:])
        spread = said_said - said**2 + PSEUDO_ANSWERS / count * PSEUDO_VARIANCE
        together = said_seen - said * seen
        slope = min(1.0, max(0.0, together / spread))
        return seen + slope * (octaves - said)

    def observe(self, octaves: float, seen: float) -> None:
        """The refinement said `octaves`; the rest was longer than predicted by `seen` octaves."""
        kept = 0.5 if self._sums[0] >= REMEMBERED else 1.0
        new = (1.0, octaves, seen, octaves * octaves, octaves * seen)
        self._sums = [kept * total + one for total, one in zip(self._sums, new, strict=True)]
