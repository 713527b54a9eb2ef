"""Percentiles of histograms: within 1% of those of the durations."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.store.history.histogram import (
    ERROR,
    LEAST_MS,
    bucket_of,
    merged,
)
from headway.store.history.percentiles import Histograms

DURATIONS = st.lists(st.floats(0.0, 1e8), min_size=1, max_size=50)


def histogram(durations: list[float]) -> bytes:
    return merged(b"", Counter(map(bucket_of, durations)))


def together(parts: list[list[float]]) -> Histograms:
    return Histograms.of(map(histogram, parts), np.zeros(len(parts), np.int64))


@given(st.lists(DURATIONS, min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_of_merged_histograms_is_within_one_percent(
    parts: list[list[float]], share: float
) -> None:
    ((found,),) = together(parts).percentiles(1, [share])
    ordered = sorted(chain(*parts))
    exact = ordered[max(0, ceil(share * len(ordered) - 1e-9) - 1)]
    assert ERROR < 0.01
    assert found == pytest.approx(exact, rel=0.0105, abs=LEAST_MS)  # and 4 digits are shown


@given(st.lists(DURATIONS, min_size=2, max_size=4))
def test_what_is_taken_off_again_leaves_the_rest(parts: list[list[float]]) -> None:
    taken, *rest = parts
    left = together(parts).without([together([taken])])
    shares = [0.0, 0.3, 0.9, 1.0]
    assert left.percentiles(1, shares) == together(rest).percentiles(1, shares)
    assert together([taken]).without([together([taken])]).percentiles(1, [0.5]) == [[None]]


def test_rows_are_apart_and_empty_ones_have_no_percentile() -> None:
    rows = Histograms.of([histogram([10.0]), histogram([1000.0])], np.array([0, 2]))
    ten, thousand = pytest.approx(10.0, rel=0.01), pytest.approx(1000.0, rel=0.01)
    assert rows.percentiles(3, [0.5]) == [[ten, None, thousand]]
    assert rows.together().percentiles(1, [1.0]) == [[thousand]]
    assert together([]).percentiles(2, [0.5, 0.9]) == [[None, None], [None, None]]


@pytest.mark.parametrize("duration_ms", [0.0, LEAST_MS, 1e9, 1e12])
def test_extremes_have_a_bucket(duration_ms: float) -> None:
    assert together([[duration_ms]]).percentiles(1, [0.5]) != [[None]]
