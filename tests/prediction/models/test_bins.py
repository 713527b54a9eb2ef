"""The lengths that distributions are made of."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.estimate import SizeEstimate
from headway.prediction.models.bins import BIN_TOKENS, bin_of, longer, score_within

SOME = SizeEstimate(BIN_TOKENS[20:24], (0.1, 0.2, 0.3, 0.4))


def test_a_length_is_in_the_first_bin_whose_edge_is_no_smaller() -> None:
    assert [BIN_TOKENS[bin_of(tokens)] for tokens in (1, 9, 10, 100_000)] == [1, 10, 10, 32768]


def test_longer_moves_a_distribution_and_keeps_its_shape() -> None:
    twice = longer(SOME, 4)
    moved = {t: w for t, w in zip(twice.tokens, twice.weights, strict=True) if w}
    assert list(moved.values()) == pytest.approx(SOME.weights)
    assert list(moved) == pytest.approx([2 * tokens for tokens in SOME.tokens], rel=0.02)
    assert longer(SOME, 0) is SOME


@given(st.integers(-80, 80))
def test_no_weight_is_lost_at_either_end(quarter_octaves: int) -> None:
    moved = longer(SOME, quarter_octaves)
    assert sum(moved.weights) == pytest.approx(1.0)
    expected = min(32768.0, max(1.0, SOME.mean * 2.0 ** (quarter_octaves / 4)))
    assert moved.mean == pytest.approx(expected, rel=0.2)


def test_a_score_under_a_limit_is_the_mean_of_capped_lengths() -> None:
    halves = SizeEstimate((16, 256), (0.5, 0.5))
    assert score_within(6.0, halves, None) == 6.0
    assert score_within(6.0, halves, 256) == 6.0
    assert score_within(6.0, halves, 64) == pytest.approx((log2(16) + log2(64)) / 2)
