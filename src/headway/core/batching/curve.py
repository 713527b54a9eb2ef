"""How long a batch takes, by its size and padded length; learned from batches that ran."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import ceil, sqrt

LATE_DEVIATIONS = 2.0
"""Number of standard deviations of slack that a deadline is given."""

FORGETTING = 0.98
"""Factor on the weight of older batches at each new one: about fifty batches count."""

RIDGE = 1e-3
"""Ridge penalty, as a share of a coefficient's own weight: effects that batches cannot separate
go to the other coefficients."""

LEAST_RIDGE = 1e-6
"""Ridge penalty on the other coefficients, so that there is always a solution."""

SHORT_MEMORY = 1 / 8
"""Weight of the newest batch in the mean error that detects a drift."""

DRIFT_ERROR = 0.15
DRIFT_DEVIATIONS = 3.0
"""A drift is a mean error above both this share and this number of standard deviations."""

DRIFT_KEEPS = 0.01
"""Factor on the weight of older batches after a drift."""

LARGEST_ERROR = 0.5
"""The relative error of one batch is clipped to this, so that a single pause is not a drift."""

SUBSETS = [used for count in (3, 2, 1) for used in combinations(range(3), count)]
"""Sets of coefficients to fit, by index: all three, then fewer."""

LEAST_S = 1e-9
"""Least cost of an item, so that a larger batch always takes longer."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Duration of a batch: fixed_s + size * (item_s + token_s * length), in seconds."""

    fixed_s: float = 0.001
    """Cost of a batch of any size."""
    item_s: float = 0.0
    """Cost of each item of any length; with its tokens at least a nanosecond."""
    token_s: float = 0.0
    """Cost of each padded token."""
    spread: float = 0.0
    """Standard deviation of durations, as a share of the predicted one."""
    doubt: Curve | None = None
    """Another curve that fits about as well, while fixed and item costs cannot be separated."""

    def batch_s(self, size: int, length: float) -> float:
        """Predicted duration of a batch of `size` items, all padded to `length`."""
        return self.fixed_s + size * self.per_item_s(length)

    def late_s(self, size: int, length: float) -> float:
        """A duration that few such batches exceed, by the slower curve."""
        longest_s = self.batch_s(size, length)
        if self.doubt is not None:
            longest_s = max(longest_s, self.doubt.batch_s(size, length))
        return longest_s * (1.0 + LATE_DEVIATIONS * self.spread)

    def soonest_s(self, size: int, length: float) -> float:
        """The same by the faster curve: a shorter time cannot be met."""
        shortest_s = self.batch_s(size, length)
        if self.doubt is not None:
            shortest_s = min(shortest_s, self.doubt.batch_s(size, length))
        return shortest_s * (1.0 + LATE_DEVIATIONS * self.spread)

    def per_item_s(self, length: float) -> float:
        """Cost of one more item of `length` in a batch."""
        return max(LEAST_S, self.item_s + self.token_s * length)

    def efficient_size(self, share: float, most: int, length: float) -> int:
        """The smallest size whose throughput is `share` of that of batches of `most` items."""
        item_s = self.per_item_s(length)
        # n / (f + a n) >= share * most / (f + a most), solved for n.
        kept = share * most / self.batch_s(most, length)
        size = kept * self.fixed_s / (1.0 - kept * item_s)
        return min(most, max(1, ceil(size - 1e-9)))


class CurveFit:
    """Fits a Curve by recursive least squares with forgetting.

    Errors are relative, so that small batches count as much as large ones, and a delayed batch
    counts little. No coefficient is negative: of the fits with some coefficients left out, the
    best one without negative coefficients is used.

    Batches of a single size cannot separate the fixed cost from that of the items. All of it then
    counts as fixed: larger batches seem worth trying, and separate the two. But a deadline that a
    small batch might meet must not be refused for that reason, so the curve with all of the cost
    in the items is kept as `doubt`. The two converge once sizes vary.

    Args:
        prior: the curve before the first batch.

    Source: Ljung and Soderstrom 1983 (RLS); Lawson and Hanson 1974 (non-negative least squares,
    here by enumeration, as there are three coefficients).
    """

    def __init__(self, prior: Curve | None = None) -> None:
        self._curve: Curve | None = prior or Curve()
        self._products = [[0.0] * 3 for _ in range(3)]
        """Sum of x x', x being (1, size, size * length) over the measured duration."""
        self._sums = [0.0] * 3
        """Sum of x."""
        self._since_drift = 0
        self._bias = 0.0
        self._square = 0.0
        self.drifts = 0
        """Number of drifts detected."""

    @property
    def curve(self) -> Curve:
        """The present fit."""
        if self._curve is None:
            self._curve = self._fitted()
        return self._curve

    def observe(self, size: int, length: int, took_s: float) -> None:
        """Learn that a batch of `size` items padded to `length` took `took_s`.

        Raises:
            ValueError: if the duration is not positive, or the batch is empty.
        """
        if not took_s > 0.0 or size < 1:
            raise ValueError(
                f"a batch has at least one item and takes time; got {size} items in {took_s} s"
            )
        if self._since_drift:
            self._watch(took_s / self.curve.batch_s(size, length) - 1.0)
        self._since_drift += 1
        x = (1.0 / took_s, size / took_s, size * length / took_s)
        for row, left in zip(self._products, x, strict=True):
            for column, right in enumerate(x):
                row[column] = FORGETTING * row[column] + left * right
        self._sums = [FORGETTING * old + new for old, new in zip(self._sums, x, strict=True)]
        self._curve = None

    def _watch(self, error: float) -> None:
        """Detect a drift from the relative error of a prediction."""
        error = max(-LARGEST_ERROR, min(LARGEST_ERROR, error))
        self._bias += SHORT_MEMORY * (error - self._bias)
        memory = max(1.0 - FORGETTING, 1.0 / self._since_drift)
        self._square += memory * (error * error - self._square)
        # Variance of an exponentially weighted mean: w / (2 - w) of that of one term.
        deviation = sqrt(self._square * SHORT_MEMORY / (2.0 - SHORT_MEMORY))
        if self._since_drift * SHORT_MEMORY < 1.0:
            return
        if abs(self._bias) > max(DRIFT_ERROR, DRIFT_DEVIATIONS * deviation):
            self.drifts += 1
            self._since_drift = 0
            self._bias = 0.0
            self._products = [[DRIFT_KEEPS * value for value in row] for row in self._products]
            self._sums = [DRIFT_KEEPS * value for value in self._sums]

    def _fitted(self) -> Curve:
        doubt = self._least_squares((RIDGE, LEAST_RIDGE, LEAST_RIDGE), None)
        return self._least_squares((LEAST_RIDGE, RIDGE, RIDGE), doubt)

    def _least_squares(self, ridge: tuple[float, ...], doubt: Curve | None) -> Curve:
        best: tuple[float, list[float]] | None = None
        for used in SUBSETS:
            values = self._solution(used, ridge)
            if min(values) < 0.0:
                continue
            gain = sum(value * total for value, total in zip(values, self._sums, strict=True))
            # At a least-squares solution the residual is a constant minus this.
            if best is None or gain > best[0]:
                best = gain, values
            if len(used) == 3:
                break  # no subset fits better than all three
        assert best is not None  # each coefficient alone is positive
        fixed_s, item_s, token_s = best[1]
        return Curve(max(fixed_s, LEAST_S), item_s, token_s, sqrt(self._square), doubt)

    def _solution(self, used: tuple[int, ...], ridge: tuple[float, ...]) -> list[float]:
        """The least-squares coefficients with only those in `used`, by Gaussian elimination."""
        rows = [[*(self._products[i][j] for j in used), self._sums[i]] for i in used]
        for index, i in enumerate(used):
            rows[index][index] *= 1.0 + ridge[i]
        count = len(used)
        for pivot in range(count):
            for row in rows[pivot + 1 :]:
                factor = row[pivot] / rows[pivot][pivot]
                for column in range(pivot, count + 1):
                    row[column] -= factor * rows[pivot][column]
        values = [0.0] * 3
        for pivot in reversed(range(count)):
            rest = sum(rows[pivot][k] * values[used[k]] for k in range(pivot + 1, count))
            values[used[pivot]] = (rows[pivot][count] - rest) / rows[pivot][pivot]
        return values
