"""The ratio of two quantities, from the last requests."""

import pytest

from headway.core.learned_ratio import LEAST, LearnedRatio


def test_it_is_the_ratio_of_the_sums() -> None:
    ratio = LearnedRatio(1000)
    for number in range(LEAST):
        assert ratio.value(7.0) == 7.0
        ratio.add(number, 2.0 * number)
    assert ratio.value(7.0) == pytest.approx(0.5)


def test_it_follows_a_change() -> None:
    ratio = LearnedRatio(100)
    for number in range(1000):
        ratio.add(1.0 if number < 500 else 3.0, 1.0)
    assert ratio.value(0.0) == pytest.approx(3.0, rel=0.05)


def test_nothing_over_nothing_is_unknown() -> None:
    ratio = LearnedRatio(100)
    for _ in range(LEAST):
        ratio.add(0.0, 0.0)
    assert ratio.value(1.0) == 1.0
