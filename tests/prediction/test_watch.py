"""Trust in predictions, and its loss."""

import random

from headway.core.estimate import SizeEstimate
from headway.prediction.bins import BIN_TOKENS
from headway.prediction.watch import LEAST, WINDOW, Watch

WIDE = SizeEstimate(BIN_TOKENS, [1.0] * len(BIN_TOKENS))


def feed(watch: Watch, count: int, noise: float, seed: int = 0) -> int:
    """Requests until the watch changes its mind, or `count` without."""
    rng = random.Random(seed)
    for number in range(count):
        score = rng.uniform(3.0, 9.0)
        length = 2.0 ** (rng.uniform(3.0, 9.0) if rng.random() < noise else score)
        if watch.observe(score, WIDE, round(length)):
            return number + 1
    return count


def test_good_predictions_are_trusted() -> None:
    watch = Watch()
    assert feed(watch, 1000, noise=0.5) == 1000
    assert watch.trusted
    assert watch.quality is not None
    assert watch.quality.kendall_tau > 0.2
    assert watch.quality.n == WINDOW


def test_a_random_order_is_caught_within_200_requests() -> None:
    for seed in range(20):
        watch = Watch()
        feed(watch, WINDOW, noise=1.0, seed=seed)
        assert not watch.trusted


def test_one_that_turns_bad_is_caught_within_200_requests_and_trusted_again_later() -> None:
    watch = Watch()
    feed(watch, 500, noise=0.3)
    assert feed(watch, 1000, noise=1.0) <= WINDOW
    assert not watch.trusted
    assert feed(watch, 1000, noise=0.3) <= WINDOW
    assert watch.trusted


def test_the_shortest_of_a_burst_are_alike_and_that_is_not_held_against_the_predictor() -> None:
    rng = random.Random(1)
    burst = sorted((score := rng.gauss(6.0, 1.0), score + rng.gauss(0.0, 2.0)) for _ in range(400))
    watch = Watch()
    for score, _ in burst:
        watch.foretold(score)
    for score, log_length in burst[:LEAST]:
        watch.observe(score, WIDE, round(2.0**log_length))
    assert watch.quality is not None
    assert watch.quality.kendall_tau < watch.quality.tau_of_all
    assert 0.15 < watch.quality.tau_of_all < 0.45
    assert watch.trusted


def test_nothing_is_said_of_a_few() -> None:
    watch = Watch()
    assert feed(watch, LEAST - 1, noise=1.0) == LEAST - 1
    assert watch.quality is None


def test_coverage_and_bias_are_told() -> None:
    watch = Watch()
    exact = SizeEstimate(BIN_TOKENS, [float(edge == 64) for edge in BIN_TOKENS])
    for number in range(LEAST):
        watch.observe(6.0 + number / 1000.0, exact, 128)
    assert watch.quality is not None
    assert watch.quality.coverage_80 == 0.0
    assert 0.9 < watch.quality.bias_octaves <= 1.0
