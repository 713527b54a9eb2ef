"""The remaining length of an unfinished answer, from its prediction and its text so far."""

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
"""In octaves squared: the usual variance of what a refinement predicts."""
REMEMBERED = 2000.0
CUTS = tuple(sorted({round(2.0 ** (half_octaves / 2)) for half_octaves in range(8, 27)}))
"""Output tokens at which an answer is read again: two per octave, from 16 on."""
_PREDICTED = ("longer_than_there", "mean_over_middle", "spread")
"""Names of the numbers in a `standing` beside those of the text."""


def next_cut(output_tokens: int) -> int:
    """The output tokens at which to read an answer again that has `output_tokens` now."""
    return next((cut for cut in CUTS if cut > output_tokens), 2 * output_tokens)


def standing(text: str, output_tokens: int, asked_items: float, predicted: SizeEstimate) -> Floats:
    """Features of an unfinished answer: of its text, and of its predicted rest.

    Args:
        text: the answer so far.
        output_tokens: its length.
        asked_items: number of list items that the prompt asked for, 0 if none.
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
    """Changes with the features of a `standing`: a refinement only works with its own."""
    return f"{crc32(repr((*NAMES, *_PREDICTED)).encode()):08x}"


def middle_octaves(predicted: SizeEstimate, output_tokens: int) -> float:
    """log2 of the median predicted rest."""
    return log2(predicted.after(output_tokens).quantile(0.5))


def stretched(predicted: SizeEstimate, output_tokens: int, octaves: float) -> SizeEstimate:
    """The length of an answer that has `output_tokens` now.

    The predicted rest is made longer by `octaves`.
    """
    rest, factor = predicted.after(output_tokens), 2.0**octaves
    weights: dict[int, float] = {}
    for tokens, weight in zip(rest.tokens, rest.weights, strict=True):
        whole = output_tokens + max(1, round(tokens * factor))
        weights[whole] = weights.get(whole, 0.0) + weight
    return SizeEstimate(list(weights), list(weights.values()))


class Refinement:
    """How much longer the rest of an answer is than predicted, learned from cut answers.

    A landmark model (van Houwelingen 2007): among all answers that reached this length, how much
    more followed, given the prediction and the text. The result is relative, so that it also holds
    for models that write more, or less, than those in the training data.
    """

    def __init__(self, trees: Trees) -> None:
        self._trees = trees

    @classmethod
    def fit(cls, rows: Floats, octaves: np.ndarray) -> Refinement:
        """Learn from unfinished answers.

        Args:
            rows: a `standing` each.
            octaves: log2 of the tokens that followed, minus `middle_octaves`.
        """
        weights = np.ones(len(rows), np.float32)
        targets = octaves.astype(np.float32)
        return cls(Trees.fit(rows, targets, weights, rounds=100, learning_rate=0.05, leaves=15))

    def octaves(self, rows: Floats) -> list[float]:
        """How many octaves longer the rest is than predicted, for each `standing` in `rows`."""
        octaves: list[float] = self._trees.scores(rows).tolist()
        return octaves

    def state(self) -> State:
        return self._trees.state()

    @classmethod
    def of(cls, state: State) -> Refinement:
        return cls(Trees.of(state))


class Correction:
    """How far to follow a refinement for one model: a line, fitted as answers finish.

    Least squares with forgetting. It starts as if the refinement had been worthless for
    PSEUDO_ANSWERS answers, so that it does little harm to models that write unlike those in the
    training data.
    """

    def __init__(self) -> None:
        self._sums = [0.0] * 5
        """Of 1, predicted, observed, predicted squared, and predicted times observed."""

    def of(self, octaves: float) -> float:
        """The correction of `octaves`, which the refinement predicted."""
        count = self._sums[0] + PSEUDO_ANSWERS
        mean, observed, squares, products = (total / count for total in self._sums[1:])
        variance = squares - mean**2 + PSEUDO_ANSWERS / count * PSEUDO_VARIANCE
        covariance = products - mean * observed
        slope = min(1.0, max(0.0, covariance / variance))
        return observed + slope * (octaves - mean)

    def observe(self, octaves: float, observed: float) -> None:
        """The refinement predicted `octaves`; the rest was longer by `observed` octaves."""
        kept = 0.5 if self._sums[0] >= REMEMBERED else 1.0
        new = (1.0, octaves, observed, octaves * octaves, octaves * observed)
        self._sums = [kept * total + one for total, one in zip(self._sums, new, strict=True)]
