"""Weighs two forecasts by how well each has predicted recent lengths."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from headway.core.estimate import SizeEstimate
from headway.prediction.models.bins import BIN_TOKENS, bin_of

SUREST = 0.01
"""Least weight of a forecast, however bad it was so far: it may improve."""
MEMORY = 16.0
"""An observation moves the weight by 1/MEMORY, or by more while there are few."""
REMEMBERED_KEYS = 8192
LEAST_LIKELY = 1e-4
_UNKNOWN = (0.5, 0.0)
"""Initial weight and number of observations."""


class Evidence:
    """Weight of the prompt's forecast against history's, by model and by template.

    Online expectation-maximisation of a mixture weight (Cappe and Moulines 2009): each answer moves
    it towards the forecast that gave its length the higher probability. Two equally good forecasts
    stay mixed. A new template starts with the weight of its model.
    """

    def __init__(self) -> None:
        self._weights: OrderedDict[tuple[object, ...], tuple[float, float]] = OrderedDict()

    def weight(self, model: str, template: int) -> float:
        """Weight of the prompt's forecast: 0 to 1."""
        of_model = self._weights.get((model,), _UNKNOWN)
        return self._weights.get((model, template), of_model)[0]

    def observe(
        self,
        model: str,
        template: int,
        of_prompt: SizeEstimate,
        of_history: SizeEstimate,
        output_tokens: int,
    ) -> None:
        """Update the weights after an answer of `output_tokens`; forecasts are over BIN_TOKENS."""
        place = bin_of(output_tokens)
        prompt = max(LEAST_LIKELY, of_prompt.weights[place])
        history = max(LEAST_LIKELY, of_history.weights[place])
        of_model, _ = self._weights.get((model,), _UNKNOWN)
        for key in ((model,), (model, template)):
            weight, count = self._weights.get(key, (of_model, 0.0))
            share = weight * prompt / (weight * prompt + (1.0 - weight) * history)
            weight += (share - weight) / min(count + 3.0, MEMORY)
            self._weights[key] = (min(1.0 - SUREST, max(SUREST, weight)), count + 1.0)
            self._weights.move_to_end(key)
        while len(self._weights) > REMEMBERED_KEYS:
            self._weights.popitem(last=False)


@lru_cache(maxsize=2048)
def mixed(one: SizeEstimate, other: SizeEstimate, weight: float) -> SizeEstimate:
    """The mixture of `weight` times `one` and the rest `other`; all over BIN_TOKENS.

    Cached: thousands of waiting requests have few distinct mixtures and share objects of 2 KB.
    """
    rest = 1.0 - weight
    return SizeEstimate(
        BIN_TOKENS,
        [weight * a + rest * b for a, b in zip(one.weights, other.weights, strict=True)],
    )
