"""The cost of a backend's tokens, learned from measured times."""

from __future__ import annotations

from headway.core.cost import CostModel

_SHARE = 0.1
"""Weight of the newest observation in the moving averages."""
_LEAST_PREFILL_TOKENS = 16
"""Shorter prefills are ignored, as they are mostly overhead."""

_MOST_S = 1e6
"""Longer times are not credible."""


class MeasuredCost:
    """Moving averages of seconds per prompt token and per output token."""

    def __init__(self) -> None:
        self._prefill_s: float | None = None
        self._decode_s: float | None = None

    def prefilled(self, tokens: int, took_s: float) -> None:
        """`tokens` uncached prompt tokens took `took_s`."""
        if tokens >= _LEAST_PREFILL_TOKENS and _credible(tokens, took_s):
            self._prefill_s = _moved(self._prefill_s, took_s / tokens)

    def decoded(self, tokens: int, took_s: float) -> None:
        """`tokens` output tokens after the first took `took_s`, at the current load."""
        if _credible(tokens, took_s):
            self._decode_s = _moved(self._decode_s, took_s / tokens)

    def forget(self) -> None:
        """Drop all measurements: those of a failing backend say nothing about a recovered one."""
        self._prefill_s = self._decode_s = None

    @property
    def known(self) -> bool:
        """Whether both averages have a value."""
        return self._prefill_s is not None and self._decode_s is not None

    @property
    def model(self) -> CostModel:
        """The cost model, with defaults for what was not measured."""
        default = CostModel()
        decode_s = self._decode_s
        return CostModel(
            self._prefill_s or default.prefill_s_per_token,
            decode_s or default.decode_s_per_token,
            # One step until the slot is free, one to load the prefix from the cache, one to resume.
            default.preempt_s if decode_s is None else 3.0 * decode_s,
        )


def _credible(tokens: int, took_s: float) -> bool:
    """Whether a reported time is plausible: backends may report anything."""
    return 0 < tokens <= 10**9 and 0.0 < took_s <= _MOST_S


def _moved(average: float | None, sample: float) -> float:
    return sample if average is None else average + _SHARE * (sample - average)
