"""From scores to distributions."""

import numpy as np
import pytest

from headway.core.estimate import SizeEstimate
from headway.prediction.models.bins import BIN_TOKENS, interval, quantile
from headway.prediction.models.calibration import Calibration


def noisy(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and lengths that scatter around them, more for long ones."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(4.0, 11.0, count).astype(np.float32)
    lengths = np.maximum(1, np.round(2.0 ** (scores + rng.normal(size=count) * scores / 10.0)))
    return scores, lengths


def test_the_80_percent_interval_holds_80_percent() -> None:
    calibration = Calibration.fit(*noisy(4000, seed=1))
    scores, lengths = noisy(4000, seed=2)
    inside = [
        low <= length <= high
        for score, length in zip(scores, lengths, strict=True)
        for low, high in [interval(calibration.estimate(float(score)), 0.8)]
    ]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.03)


def test_higher_scores_mean_longer_answers_and_equal_ones_share_an_estimate() -> None:
    calibration = Calibration.fit(*noisy(4000, seed=1))
    means = [calibration.estimate(score).mean for score in (4.0, 6.0, 8.0, 10.0)]
    assert means == sorted(means)
    assert calibration.estimate(6.0) is calibration.estimate(6.0)


def test_scores_out_of_range_have_the_estimate_of_the_extreme() -> None:
    calibration = Calibration.fit(*noisy(1000, seed=1))
    assert calibration.estimate(-1e9) is calibration.estimate(-100.0)
    assert calibration.estimate(1e9).mean > calibration.estimate(-1e9).mean


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_a_handful_of_examples_gives_a_wide_estimate_and_no_error(count) -> None:
    scores = np.arange(count, dtype=np.float32)
    estimate = Calibration.fit(scores, np.full(count, 50.0)).estimate(0.5)
    assert interval(estimate, 0.8)[0] < 50 <= interval(estimate, 0.8)[1]


def test_equal_scores_are_one_level() -> None:
    calibration = Calibration.fit(np.zeros(500, np.float32), np.arange(1.0, 501.0))
    assert calibration.estimate(0.0).mean == pytest.approx(250, rel=0.2)


def test_quantiles_lie_within_their_bins() -> None:
    estimate = SizeEstimate(BIN_TOKENS, [1.0] * len(BIN_TOKENS))
    assert quantile(estimate, 0.0) <= 1.0
    assert quantile(estimate, 1.0) == pytest.approx(BIN_TOKENS[-1])
    assert BIN_TOKENS[29] < quantile(estimate, 30.5 / len(BIN_TOKENS)) <= BIN_TOKENS[30]


def test_the_interval_of_short_answers_has_the_stated_coverage() -> None:
    """Whole tokens are coarse there: rounded outward, it would cover a few per cent more."""
    rng = np.random.default_rng(0)
    calibration = Calibration.fit(np.zeros(4000, np.float32), rng.integers(5, 25, 4000))
    low, high = interval(calibration.estimate(0.0), 0.8)
    later = rng.integers(5, 25, 4000)
    assert np.mean((low <= later) & (later <= high)) == pytest.approx(0.8, abs=0.03)
