"""Which of two forecasts to believe, by how well each foretold what came."""

from __future__ import annotations

from collections import OrderedDict
from math import exp, log

from headway.core.estimate import SizeEstimate
from headway.prediction.bins import BIN_TOKENS, bin_of

FORGETTING = 0.97
"""What an observation still counts one observation later."""
SUREST = 6.0
"""Log odds beyond which no forecast is believed, however good it was so far."""
REMEMBERED_KEYS = 8192
LEAST_LIKELY = 1e-4


class Evidence:
    """Log odds of the prompt's forecast against history's, by model and by template.

    Bayesian model averaging with forgetting (Raftery et al. 2010): every answer counts by how
    likely each of the two had said its length is. A template that was not seen yet takes the
    odds of its model.
    """

    def __init__(self) -> None:
        self._log_odds: OrderedDict[tuple[object, ...], float] = OrderedDict()

    def weight(self, model: str, template: int) -> float:
        """How far to believe the prompt's forecast: 0 not at all, 1 wholly."""
        odds = self._log_odds.get((model, template), self._log_odds.get((model,), 0.0))
        return 1.0 / (1.0 + exp(-odds))

    def observe(
        self,
        model: str,
        template: int,
        of_prompt: SizeEstimate,
        of_history: SizeEstimate,
        output_tokens: int,
    ) -> None:
        """An answer had `output_tokens`; both forecasts are over BIN_TOKENS."""
        place = bin_of(output_tokens)
        gained = log(max(LEAST_LIKELY, of_prompt.weights[place])) - log(
            max(LEAST_LIKELY, of_history.weights[place])
        )
        of_model = self._log_odds.get((model,), 0.0)
        for key in ((model,), (model, template)):
            odds = FORGETTING * self._log_odds.get(key, of_model) + gained
            self._log_odds[key] = max(-SUREST, min(SUREST, odds))
            self._log_odds.move_to_end(key)
        while len(self._log_odds) > REMEMBERED_KEYS:
            self._log_odds.popitem(last=False)


def mixed(one: SizeEstimate, other: SizeEstimate, weight: float) -> SizeEstimate:
    """`weight` times `one` and the rest of `other`; both over BIN_TOKENS."""
    rest = 1.0 - weight
    return SizeEstimate(
        BIN_TOKENS,
        [weight * a + rest * b for a, b in zip(one.weights, other.weights, strict=True)],
    )
