"""Histograms of durations: merged without loss, percentiles within 1%."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.store.history.histogram import (
    ERROR,
    LEAST_MS,
    bucket_of,
    matrix,
    merged,
    percentile,
)

DURATIONS = st.lists(st.floats(0.0, 1e8), min_size=1, max_size=50)


def histogram(durations: list[float]) -> bytes:
    return merged(b"", Counter(map(bucket_of, durations)))


@given(st.lists(DURATIONS, min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_of_merged_histograms_is_within_one_percent(
    parts: list[list[float]], share: float
) -> None:
    (found,) = percentile(matrix(map(histogram, parts), [0] * len(parts), 1), share)
    together = sorted(chain(*parts))
    exact = together[max(0, ceil(share * len(together) - 1e-9) - 1)]
    assert ERROR < 0.01
    assert found == pytest.approx(exact, rel=0.0105, abs=LEAST_MS)  # and 4 digits are shown


@given(DURATIONS, DURATIONS)
def test_merging_counts_each_once(some: list[float], more: list[float]) -> None:
    both = merged(histogram(some), Counter(map(bucket_of, more)))
    expected = matrix([histogram(some + more)], [0], 1)
    assert (matrix([both], [0], 1) == expected).all()


def test_rows_of_a_matrix_are_apart_and_empty_ones_have_no_percentile() -> None:
    sums = matrix([histogram([10.0]), histogram([1000.0])], [0, 2], 3)
    assert percentile(sums, 0.5) == [
        pytest.approx(10.0, rel=0.01),
        None,
        pytest.approx(1000.0, rel=0.01),
    ]
    assert percentile(matrix([], [], 1), 0.5) == [None]


@pytest.mark.parametrize("duration_ms", [0.0, LEAST_MS, 1e9, 1e12])
def test_extremes_have_a_bucket(duration_ms: float) -> None:
    assert matrix([histogram([duration_ms])], [0], 1).sum() == 1
