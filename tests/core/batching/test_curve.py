"""What is learned of a model: the duration of its batches, and the arrival rate."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.batching import Curve, CurveFit
from headway.core.batching.rate import ArrivalRate

TRUE = Curve(fixed_s=0.004, item_s=0.0005, token_s=0.00002)


def fitted(
    curve: Curve, batches: int = 100, fit: CurveFit | None = None, seed: int = 1
) -> CurveFit:
    """A fit that saw batches of all sizes and lengths, with `curve.spread` of noise."""
    random = Random(seed)
    fit = fit or CurveFit()
    for _ in range(batches):
        size, length = random.randint(1, 32), random.randint(8, 256)
        fit.observe(size, length, curve.batch_s(size, length) * random.gauss(1.0, curve.spread))
    return fit


def test_before_the_first_batch_the_curve_is_the_prior() -> None:
    assert CurveFit(TRUE).curve is TRUE


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_it_finds_what_a_batch_an_item_and_a_token_cost(spread) -> None:
    found = fitted(Curve(TRUE.fixed_s, TRUE.item_s, TRUE.token_s, spread)).curve
    for size, length in ((1, 8), (1, 256), (8, 64), (32, 8), (32, 256)):
        assert found.batch_s(size, length) == pytest.approx(TRUE.batch_s(size, length), rel=0.05)


def test_it_knows_how_far_durations_are_off() -> None:
    found = fitted(Curve(TRUE.fixed_s, TRUE.item_s, TRUE.token_s, spread=0.1), 300).curve
    assert 0.07 < found.spread < 0.14
    assert found.late_s(8, 64) == pytest.approx(found.batch_s(8, 64) * (1 + 2 * found.spread))


def test_costs_that_batches_of_one_size_cannot_separate_count_as_fixed() -> None:
    """Then larger batches seem cheap, are tried, and separate them."""
    fit = CurveFit()
    for _ in range(20):
        fit.observe(1, 10, 0.010)
    assert fit.curve.batch_s(1, 10) == pytest.approx(0.010, rel=0.01)
    assert fit.curve.batch_s(32, 10) < 0.011


def test_but_the_doubt_keeps_deadlines_from_being_refused() -> None:
    """A batch of 32 took 32 ms: one item may take 32 ms, or 1."""
    fit = CurveFit()
    fit.observe(32, 10, 0.032)
    assert fit.curve.late_s(1, 10) == pytest.approx(0.032, rel=0.05)
    assert fit.curve.soonest_s(1, 10) == pytest.approx(0.001, rel=0.05)
    fit.observe(1, 10, 0.005)
    assert fit.curve.soonest_s(1, 10) == pytest.approx(fit.curve.late_s(1, 10), rel=0.05)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 64), st.integers(1, 512), st.floats(1e-4, 10.0)),
        min_size=1,
        max_size=40,
    )
)
def test_it_is_positive_and_rises_whatever_it_sees(batches) -> None:
    fit = CurveFit()
    for batch in batches:
        fit.observe(*batch)
    curve = fit.curve
    assert curve.batch_s(1, 1) > 0.0
    for size, length in ((1, 1), (8, 100), (64, 512)):
        assert curve.batch_s(size + 1, length) > curve.batch_s(size, length)
        assert curve.batch_s(size, length + 1) >= curve.batch_s(size, length)
        assert curve.late_s(size, length) >= curve.batch_s(size, length)


def test_one_pause_is_no_drift_and_changes_little() -> None:
    fit = fitted(TRUE)
    fit.observe(8, 64, 1.0)
    assert fit.drifts == 0
    assert fit.curve.batch_s(8, 64) == pytest.approx(TRUE.batch_s(8, 64), rel=0.05)


def test_a_model_that_became_slower_is_detected_and_learned_again() -> None:
    slower = Curve(0.008, 0.001, 0.00004)
    fit = fitted(TRUE)
    fitted(slower, 30, fit, seed=2)
    assert fit.drifts >= 1
    for size, length in ((1, 8), (32, 256)):
        assert fit.curve.batch_s(size, length) == pytest.approx(
            slower.batch_s(size, length), rel=0.1
        )


def test_noise_is_no_drift() -> None:
    assert fitted(Curve(0.004, 0.0005, 0.00002, spread=0.1), 500).drifts == 0


@pytest.mark.parametrize("batch", [(0, 10, 0.01), (1, 10, 0.0), (1, 10, float("nan"))])
def test_an_impossible_batch_is_an_error(batch) -> None:
    with pytest.raises(ValueError, match="at least one item and takes time"):
        CurveFit().observe(*batch)


def test_the_efficient_size_is_the_smallest_with_that_throughput() -> None:
    curve = Curve(fixed_s=0.010, item_s=0.001)
    size = curve.efficient_size(0.9, 32, 1)

    def throughput(size: int) -> float:
        return size / curve.batch_s(size, 1)

    assert throughput(size) >= 0.9 * throughput(32) > throughput(size - 1)


def test_the_rate_is_arrivals_over_time() -> None:
    rate = ArrivalRate()
    assert rate.per_s(0.0) == 0.0
    for index in range(200):
        rate.arrived(index * 0.01)
    assert rate.per_s(1.99) == pytest.approx(100.0)


def test_the_rate_follows_the_load() -> None:
    rate, now_s = ArrivalRate(), 0.0
    for gap_s in [0.01] * 500 + [0.001] * 500:
        now_s += gap_s
        rate.arrived(now_s)
    assert rate.per_s(now_s) == pytest.approx(1000.0, rel=0.2)


def test_the_rate_falls_while_no_items_arrive() -> None:
    rate = ArrivalRate()
    for index in range(200):
        rate.arrived(index * 0.01)
    assert rate.per_s(2.0) == pytest.approx(100.0)
    assert rate.per_s(100.0) < 2.0


def test_items_that_arrive_all_at_once_do_not_determine_the_rate() -> None:
    rate = ArrivalRate()
    for _ in range(64):
        rate.arrived(1.0)
    assert rate.per_s(1.0) == 0.0
