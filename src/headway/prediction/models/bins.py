"""The support points of length distributions."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from math import log2

from headway.core.estimate import SizeEstimate

BIN_TOKENS = tuple(sorted({round(2 ** (quarter_octaves / 4)) for quarter_octaves in range(61)}))
"""Upper edges of four bins an octave, from 1 to 32,768 output tokens.

The upper edge stands for its bin. Otherwise a running request would seem to have outlived its bin
while it is still in it, and its remaining length would be overestimated.
"""


def bin_of(output_tokens: int) -> int:
    """Index of the bin of `output_tokens`; the last bin also holds everything longer."""
    return min(bisect_left(BIN_TOKENS, output_tokens), len(BIN_TOKENS) - 1)


def interval(estimate: SizeEstimate, mass: float) -> tuple[int, int]:
    """The central interval of `estimate` with probability `mass` (0 to 1), in tokens.

    Rounded to the nearest tokens: rounded outward, it would cover too many short answers.
    """
    tail = (1.0 - mass) / 2.0
    low = round(quantile(estimate, tail)) + 1
    return low, max(low, round(quantile(estimate, 1.0 - tail)))


def score_within(score: float, estimate: SizeEstimate, max_tokens: int | None) -> float:
    """The score of a request that is limited to `max_tokens`.

    Args:
        score: expected log2 of output tokens without that limit.
        estimate: distribution without that limit.
        max_tokens: None: no limit.
    """
    capped = estimate.capped(max_tokens)
    if capped is estimate:
        return score
    return sum(w * log2(tokens) for tokens, w in zip(capped.tokens, capped.weights, strict=True))


@lru_cache(maxsize=2048)
def longer(estimate: SizeEstimate, quarter_octaves: int) -> SizeEstimate:
    """`estimate` over BIN_TOKENS, for answers `quarter_octaves` quarter octaves longer.

    Cached: thousands of waiting requests have few distinct estimates and share these objects.
    """
    if not quarter_octaves:
        return estimate
    weights = [0.0] * len(BIN_TOKENS)
    for tokens, weight in zip(estimate.tokens, estimate.weights, strict=True):
        place = round(4.0 * log2(tokens)) + quarter_octaves
        weights[bin_of(round(2.0 ** (max(0, place) / 4.0)))] += weight
    return SizeEstimate(BIN_TOKENS, weights)


def quantile(estimate: SizeEstimate, q: float) -> float:
    """The `q`-quantile in tokens; lengths are taken as uniform within their bin."""
    cumulative = 0.0
    for point, weight in zip(estimate.tokens, estimate.weights, strict=True):
        if cumulative + weight >= q and weight > 0.0:
            place = bisect_left(BIN_TOKENS, point)
            below = BIN_TOKENS[place - 1] if 0 < place < len(BIN_TOKENS) else point - 1
            return below + (point - below) * (q - cumulative) / weight
        cumulative += weight
    return float(estimate.longest)
