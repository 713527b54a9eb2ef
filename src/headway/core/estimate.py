"""How many output tokens a request will produce: a distribution, not a number."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import exp, log
from operator import lt, mul


class SizeEstimate:
    """A discrete distribution over output tokens.

    Args:
        tokens: support points in output tokens, strictly increasing, all at least 1.
        weights: one non-negative weight per support point; they need not sum to one.

    Raises:
        ValueError: if the two differ in length, are empty, or are not as described.

    Immutable, so that a predictor can hand one object to many requests.
    """

    __slots__ = (
        "_capped",
        "_envelopes",
        "_exponential",
        "_gittins",
        "_means",
        "_tails",
        "mean",
        "tokens",
        "weights",
    )

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    mean: float

    def __init__(self, tokens: Sequence[int], weights: Sequence[float]) -> None:
        if not tokens or len(tokens) != len(weights):
            raise ValueError(
                f"an estimate needs as many weights as support points, and at least one; "
                f"got {len(tokens)} points and {len(weights)} weights"
            )
        total = float(sum(weights))
        if not 0.0 < total < float("inf") or min(weights) < 0.0:
            raise ValueError("weights of an estimate must be non-negative, finite and not all zero")
        # By map(), for speed: every answer makes one for each level of history.
        if tokens[0] < 1 or not all(map(lt, tokens, tokens[1:])):
            raise ValueError("support points of an estimate must be increasing and at least 1")
        self.tokens = tuple(tokens)
        self.weights = tuple([weight / total for weight in weights])
        self.mean = sum(map(mul, self.tokens, self.weights))
        self._envelopes: dict[int, LowerEnvelope] = {}
        self._gittins = array("d")
        """Known ranks without setup, by tokens produced, else 0: many running requests share one
        estimate."""
        self._tails: tuple[list[float], list[float]] | None = None
        self._means: list[float] | None = None
        self._capped: SizeEstimate | None = None
        self._exponential = (0.0, self.mean)
        """The last rate that `exponential_mean` was called with, and the result."""

    @classmethod
    def exactly(cls, tokens: int) -> SizeEstimate:
        """The estimate when the length is known: all mass on one length."""
        return cls((max(1, tokens),), (1.0,))

    @classmethod
    def from_lengths(cls, lengths: Iterable[int]) -> SizeEstimate:
        """The empirical distribution of observed lengths (non-positive ones count as 1)."""
        counts: dict[int, int] = {}
        for length in lengths:
            counts[max(1, length)] = counts.get(max(1, length), 0) + 1
        if not counts:
            raise ValueError("an estimate needs at least one observed length")
        points = sorted(counts)
        return cls(points, [counts[point] for point in points])

    def __repr__(self) -> str:
        median, high = self.quantile(0.5), self.quantile(0.9)
        return f"SizeEstimate(mean={self.mean:.1f}, p50={median}, p90={high})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SizeEstimate):
            return NotImplemented
        return self.tokens == other.tokens and self.weights == other.weights

    def __hash__(self) -> int:
        return hash((self.tokens, self.weights))

    @property
    def longest(self) -> int:
        """The largest length with any mass, in output tokens."""
        return self.tokens[-1]

    def quantile(self, q: float) -> int:
        """The smallest support point whose cumulative weight reaches `q` (0 to 1)."""
        place = bisect_left(list(accumulate(self.weights)), q - 1e-12)
        return self.tokens[min(place, len(self.tokens) - 1)]

    def likely(self) -> tuple[int, int]:
        """Between these two the length is in 80% of cases: the quantiles 0.1 and 0.9."""
        return self.quantile(0.1), self.quantile(0.9)

    def capped(self, max_tokens: int | None) -> SizeEstimate:
        """This estimate under a limit: all mass above `max_tokens` moves to it."""
        if max_tokens is None or self.tokens[-1] <= max_tokens:
            return self
        limit = max(1, max_tokens)
        if self._capped is None or self._capped.longest != limit:
            keep = bisect_left(self.tokens, limit)
            # Requests from one template have one limit: they share one object.
            self._capped = SizeEstimate(
                (*self.tokens[:keep], limit), (*self.weights[:keep], sum(self.weights[keep:]))
            )
        return self._capped

    def after(self, produced: int) -> SizeEstimate:
        """The distribution of remaining output tokens, given that `produced` exist.

        All mass is on `produced` once that exceeds the distribution (see `remaining_mean`).
        """
        start = bisect_right(self.tokens, produced)
        if not any(self.weights[start:]):
            return SizeEstimate.exactly(produced)
        left = [point - produced for point in self.tokens[start:]]
        return SizeEstimate(left, self.weights[start:])

    def remaining_mean(self, produced: int) -> float:
        """Expected remaining output tokens of a request that runs on after `produced`.

        A request that outlived its whole distribution is assumed to have a Pareto tail with
        exponent 2, whose mean residual life is its age.
        """
        if produced <= 0:
            return self.mean
        means = self._means or self._sum_means()
        mean = means[bisect_right(self.tokens, produced)]
        return mean - produced if mean else float(produced)

    def exponential_mean(self, rate: float) -> float:
        """ln E[e^(rate X)] / rate, in tokens, for a `rate` >= 0 per token.

        The mean at a rate of 0, the longest length with any mass for large ones.
        """
        known, mean = self._exponential
        if rate != known:
            mean = self.mean
            if rate * self.tokens[-1] > 1e-6:  # else it is the mean, but for rounding
                pairs = [pair for pair in zip(self.tokens, self.weights, strict=True) if pair[1]]
                # From the longest, so that no power overflows and their sum is not 0.
                longest = pairs[-1][0]
                total = sum([weight * exp(rate * (point - longest)) for point, weight in pairs])
                mean = longest + log(total) / rate
            self._exponential = rate, mean
        return mean

    def remaining_within(self, produced: int, limit: float) -> float:
        """Expected number of its remaining output tokens that are among the next `limit`.

        E[min(X - t, limit)] given X > t, with t = `produced`. A request that outlived its whole
        distribution has the tail of `remaining_mean`.
        """
        start = bisect_right(self.tokens, produced)
        masses, works = self._tails or self._sum_tails()
        mass = masses[start]
        if mass <= 0.0:
            return produced * limit / (produced + limit)
        end = bisect_right(self.tokens, produced + limit)
        shorter = works[start] - works[end] - produced * (mass - masses[end])
        return (shorter + limit * masses[end]) / mass

    def gittins_tokens(self, produced: int, setup_tokens: float = 0.0) -> float:
        """The Gittins rank, in tokens (smaller runs first).

        min over quanta d of E[setup + min(X - t, d)] / P(X - t <= d), both given X > t with
        t = `produced`: the least expected work per completion. `setup_tokens` is work paid
        before the first token (prefill), in units of one output token.
        Source: Gittins 1979; Scully et al. 2018.
        """
        if setup_tokens:
            return self._gittins_tokens(produced, setup_tokens)
        known = self._gittins
        if produced >= len(known):
            known.extend([0.0] * (produced + 1 - len(known)))
        if not known[produced]:
            known[produced] = self._gittins_tokens(produced, 0.0)
        return known[produced]

    def _gittins_tokens(self, produced: int, setup_tokens: float) -> float:
        start = bisect_right(self.tokens, produced)
        envelope = self._envelopes.get(start) or self._envelope(start)
        if envelope is None:
            return setup_tokens + max(1, produced)
        return envelope.at(self.tokens[start] - produced + setup_tokens)

    def _sum_tails(self) -> tuple[list[float], list[float]]:
        """Weight, and weight times tokens, from each support point to the end; then 0."""
        masses, works = [0.0], [0.0]
        for point, weight in zip(reversed(self.tokens), reversed(self.weights), strict=True):
            masses.append(masses[-1] + weight)
            works.append(works[-1] + weight * point)
        self._tails = masses[::-1], works[::-1]
        return self._tails

    def _sum_means(self) -> list[float]:
        """Mean length above each support point's predecessor; 0 without any mass there."""
        tails = zip(*(self._tails or self._sum_tails()), strict=True)
        self._means = [work / mass if mass > 0.0 else 0.0 for mass, work in tails]
        return self._means

    def _envelope(self, start: int) -> LowerEnvelope | None:
        """The least work per completion of answers that outlive the points before `start`.

        For a quantum that ends at a point it is a straight line in t and in the setup, with one
        slope for both: a function of (first point - t + setup). None: no mass is left.
        """
        masses, _ = self._tails or self._sum_tails()
        if masses[start] <= 0.0:
            return None
        first = self.tokens[start]
        mass = sum(self.weights[start:])
        done = 0.0  # P(X <= point and X > t)
        work = 0.0  # E[X - first; X <= point]
        lines = []
        for point, weight in zip(self.tokens[start:], self.weights[start:], strict=True):
            done += weight
            work += weight * (point - first)
            if done > 0.0:
                slope = mass / done
                lines.append(((work + (mass - done) * (point - first)) / done, slope))
        envelope = self._envelopes[start] = LowerEnvelope(lines)
        return envelope


class LowerEnvelope:
    """The minimum of straight lines, as a function of x >= 0, in O(log n).

    Args:
        lines: (value at 0, slope) of each, by falling slope.
    """

    __slots__ = ("_breaks", "_lines")

    def __init__(self, lines: Iterable[tuple[float, float]]) -> None:
        self._lines: list[tuple[float, float]] = []
        self._breaks: list[float] = []  # line i is the least up to break i
        for value, slope in lines:
            # A line that a flatter one undercuts before its own range is never the least.
            while self._lines:
                last_value, last_slope = self._lines[-1]
                if slope < last_slope:
                    undercuts = (value - last_value) / (last_slope - slope)
                else:
                    undercuts = 0.0 if value <= last_value else float("inf")
                begins = self._breaks[-1] if self._breaks else 0.0
                if undercuts > begins:
                    break
                self._lines.pop()
                if self._breaks:
                    self._breaks.pop()
            if not self._lines:
                self._lines.append((value, slope))
            elif undercuts < float("inf"):
                self._breaks.append(undercuts)
                self._lines.append((value, slope))

    def at(self, x: float) -> float:
        """The least of the lines at `x`."""
        value, slope = self._lines[bisect_left(self._breaks, x)]
        return value + slope * x
