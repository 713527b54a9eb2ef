"""Trust in predictions, and its loss."""

import random

from headway.core.estimate import SizeEstimate
from headway.prediction.live.watch import LEAST, WINDOW, Watch
from headway.prediction.models.bins import BIN_TOKENS

WIDE = SizeEstimate(BIN_TOKENS, [1.0] * len(BIN_TOKENS))


def feed(watch: Watch, count: int, noise: float, seed: int = 0) -> int:
    """Requests until the watch changes its mind, or `count` without."""
    rng = random.Random(seed)
    for number in range(count):
        score = rng.uniform(3.0, 9.0)
        length = 2.0 ** (rng.uniform(3.0, 9.0) if rng.random() < noise else score)
        if watch.observe("m", score, WIDE, round(length)):
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


def test_the_similar_lengths_of_the_shortest_of_a_burst_cost_no_trust() -> None:
    rng = random.Random(1)
    burst = sorted((score := rng.gauss(6.0, 1.0), score + rng.gauss(0.0, 2.0)) for _ in range(400))
    watch = Watch()
    for score, _ in burst:
        watch.predicted("m", score)
    for score, log_length in burst[:LEAST]:
        watch.observe("m", score, WIDE, round(2.0**log_length))
    assert watch.quality is not None
    assert watch.quality.kendall_tau < watch.quality.tau_of_all
    assert 0.15 < watch.quality.tau_of_all < 0.45
    assert watch.trusted


def test_differences_between_models_earn_no_trust() -> None:
    rng = random.Random(2)
    watch = Watch()
    for number in range(WINDOW):
        model, usual = (("terse", 3.0), ("wordy", 9.0))[number % 2]
        score, length = (usual + rng.uniform(-1.0, 1.0) for _ in range(2))
        watch.predicted(model, score)
        watch.observe(model, score, WIDE, round(2.0**length))
    assert not watch.trusted


def test_an_order_that_is_right_within_each_model_is_trusted() -> None:
    rng = random.Random(2)
    watch = Watch()
    for number in range(WINDOW):
        model, usual = (("terse", 9.0), ("wordy", 3.0))[number % 2]  # the wrong way round
        length = rng.uniform(3.0, 6.0)
        watch.predicted(model, length + usual)
        watch.observe(model, length + usual, WIDE, round(2.0**length))
    assert watch.trusted
    assert watch.quality is not None
    assert watch.quality.tau_of_all > 0.8


def test_answers_cut_off_at_their_limit_cost_no_trust() -> None:
    rng = random.Random(3)
    watch = Watch()
    for _ in range(WINDOW):
        watch.observe("m", rng.uniform(3.0, 9.0), WIDE, 8, max_tokens=8)
    assert watch.trusted


def test_limits_earn_no_trust() -> None:
    rng = random.Random(3)
    watch = Watch()
    for _ in range(WINDOW):
        limit = rng.choice([4, 32, 256, 2048])
        score, length = rng.uniform(1.0, 10.0), rng.uniform(1.0, 10.0)
        watch.observe("m", score, WIDE, min(limit, round(2.0**length)), limit)
    assert not watch.trusted


def test_a_good_order_is_trusted_although_many_answers_are_cut_off() -> None:
    rng = random.Random(3)
    watch = Watch()
    for _ in range(WINDOW):
        length = rng.uniform(4.0, 10.0)
        score = length + rng.gauss(0.0, 1.0)
        watch.observe("m", score, WIDE, min(64, round(2.0**length)), max_tokens=64)
    assert watch.trusted
    assert watch.quality is not None
    assert watch.quality.tau_of_all > 0.4


def test_a_few_requests_give_no_verdict() -> None:
    watch = Watch()
    assert feed(watch, LEAST - 1, noise=1.0) == LEAST - 1
    assert watch.quality is None


def test_coverage_and_bias_are_reported() -> None:
    watch = Watch()
    exact = SizeEstimate(BIN_TOKENS, [float(edge == 64) for edge in BIN_TOKENS])
    for number in range(LEAST):
        watch.observe("m", 6.0 + number / 1000.0, exact, 128)
    assert watch.quality is not None
    assert watch.quality.coverage_80 == 0.0
    assert 0.9 < watch.quality.bias_octaves <= 1.0
