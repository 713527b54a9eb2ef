"""How good an order is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from headway.prediction.learning.evaluation import kendall_tau, pairwise_accuracy

some = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=60)


@given(some)
def test_tau_is_scipys(pairs) -> None:
    scores, lengths = np.array(pairs, float).T
    expected = kendalltau(scores, lengths).statistic
    assert kendall_tau(scores, lengths) == pytest.approx(0.0 if np.isnan(expected) else expected)


@given(some)
def test_pairwise_accuracy_counts_pairs_of_unlike_length(pairs) -> None:
    scores, lengths = np.array(pairs, float).T
    right = [
        1.0 if (s - t) * (a - b) > 0 else 0.5 if s == t else 0.0
        for i, (s, a) in enumerate(pairs)
        for t, b in pairs[:i]
        if a != b
    ]
    assert pairwise_accuracy(scores, lengths) == pytest.approx(np.mean(right) if right else 0.5)


def test_more_than_one_block_of_pairs() -> None:
    scores = np.arange(2500.0)
    assert kendall_tau(scores, scores) == pytest.approx(1.0)
    assert kendall_tau(scores, -scores) == pytest.approx(-1.0)
