"""What a sweep says of settings: durations, points, the front, the recommendation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.batching import Curve
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.front import (
    achieved,
    front,
    meets,
    objective_of,
    recommended,
    tightest_s,
    unmet,
)
from headway.lab.tuning.measuring import lengths_to_measure, sizes_to_measure
from headway.lab.tuning.sweep import Conditions, Point, Setting, grid, saturated_per_s, sweep
from headway.lab.tuning.traffic import Traffic
from headway.lab.tuning.work import GivenItems

CURVE = Curve(fixed_s=0.005, item_s=0.0005, token_s=0.00002)
SIZES = (1, 2, 4, 8, 16, 32)
LENGTHS = (8, 32, 128)


def durations(curve: Curve = CURVE) -> MeasuredDurations:
    """As if measured without noise."""
    took_s = [[[curve.batch_s(size, length)] * 2 for length in LENGTHS] for size in SIZES]
    return MeasuredDurations(SIZES, LENGTHS, np.array(took_s))


def bench(count: int = 400) -> Conditions:
    traffic = Traffic.made("poisson", "lognormal:32@0.7", count, seed=1).cut(8, 128)
    return Conditions(durations(), traffic)


@pytest.fixture(scope="module")
def points() -> list[Point]:
    tried = grid(["constant", "adaptive"], (1, 32), (0.0, 0.05), varied=True, slo_s=0.05)
    return list(sweep(bench(), tried, [0.3, 0.7, 0.9]).points)


def point(rate_per_s: float, mean_s: float, p99_s: float, setting: Setting) -> Point:
    latency_s = Distribution(mean_s, mean_s, p99_s, p99_s, p99_s, p99_s)
    return Point(setting, rate_per_s / 1e3, rate_per_s, rate_per_s, 0.5, 4.0, latency_s)


some_points = st.lists(
    st.builds(
        point,
        rate_per_s=st.sampled_from([100.0, 200.0, 300.0]),
        mean_s=st.floats(0.001, 0.1),
        p99_s=st.floats(0.1, 1.0),
        setting=st.builds(
            Setting,
            batching=st.sampled_from(["constant", "adaptive", "optimal"]),
            max_batch_size=st.sampled_from([1, 8, 32]),
        ),
    ),
    min_size=1,
    max_size=20,
)


def test_durations_are_the_medians_and_straight_lines_between_them() -> None:
    measured = durations()
    for size, length in [(1, 8), (8, 32), (32, 128), (3, 20), (24, 100)]:
        assert measured.batch_s(size, length) == pytest.approx(CURVE.batch_s(size, length))


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("size", [1, 32, 256])
def test_the_throughput_is_that_of_all_workers_with_full_batches(workers: int, size: int) -> None:
    took_s = np.array([[[0.1]], [[0.1]]])
    traffic = Traffic.made("poisson", "fixed:8", 100, seed=1)
    conditions = Conditions(MeasuredDurations((1, 256), (8,), took_s), traffic, workers)
    assert saturated_per_s(conditions, size, False) == pytest.approx(workers * size / 0.1, rel=0.02)


def test_items_come_at_the_rate_that_was_asked_for() -> None:
    for seed in range(5):
        items = Traffic.made("gamma:4", "fixed:8", 500, seed).requests(20.0)
        assert len(items) / items[-1].arrival_s == pytest.approx(20.0)


def test_the_curve_is_the_one_that_a_batcher_fits() -> None:
    fitted = durations().curve
    assert fitted.fixed_s == pytest.approx(CURVE.fixed_s, rel=0.02)
    assert fitted.token_s == pytest.approx(CURVE.token_s, rel=0.02)


def test_drawn_durations_vary_as_the_measured_ones_did() -> None:
    took_s = np.array([[[0.9, 1.0, 1.3]]])
    drawn = MeasuredDurations((1,), (1,), took_s).drawn(seed=3)
    assert {round(drawn(1, 1), 9) for _ in range(100)} == {0.9, 1.0, 1.3}


@pytest.mark.parametrize("largest", [1, 2, 6, 32])
def test_every_size_lies_within_those_measured(largest: int) -> None:
    measured = sizes_to_measure(largest)
    assert measured[0] == 1 and measured[-1] == largest


@given(st.lists(st.integers(1, 600), min_size=1, max_size=20))
def test_lengths_that_are_measured_are_some_of_the_traffic_and_its_ends(lengths: list[int]) -> None:
    measured = lengths_to_measure(lengths)
    assert measured[0] == min(lengths) and measured[-1] == max(lengths)
    assert set(measured) <= set(lengths) and measured == sorted(set(measured))


def test_the_longest_item_of_a_measured_batch_has_the_length_asked_for() -> None:
    items = GivenItems(["a", "bbbbb", "cc", "dddd"], [1, 5, 2, 4])
    assert items.batch(2, 4) == ["dddd", "cc"]
    assert items.batch(3, 1) == ["a", "a", "a"]
    assert len(items.batch(9, 5)) == 9


def test_the_same_items_come_at_every_rate() -> None:
    traffic = Traffic.made("gamma:2", "fixed:5", 50, seed=4)
    slow, fast = traffic.requests(10.0), traffic.requests(20.0)
    for one, other in zip(slow, fast, strict=True):
        assert one.arrival_s == pytest.approx(2.0 * other.arrival_s)


def test_unknown_arrivals_are_an_error_that_names_those_there_are() -> None:
    with pytest.raises(SimulationError, match="poisson or gamma:CV"):
        Traffic.made("burst", "fixed:5", 10, seed=1)


def test_every_setting_has_its_point_where_it_gets_through(points: list[Point]) -> None:
    assert {one.load for one in points} == {0.3, 0.7, 0.9}
    assert all(one.utilisation < 1.000001 and one.batch_size >= 1.0 for one in points)
    assert all(one.throughput_per_s == pytest.approx(one.rate_per_s, rel=0.2) for one in points)
    of_one = [one.load for one in points if one.setting.max_batch_size == 1]
    assert 0.9 not in of_one  # one at a time is too slow for that


def test_waiting_longer_makes_larger_batches_and_less_work(points: list[Point]) -> None:
    at_once, late = (
        next(
            one
            for one in points
            if one.load == 0.3 and one.setting == Setting("constant", 32, delay_s)
        )
        for delay_s in (0.0, 0.05)
    )
    assert late.batch_size > at_once.batch_size
    assert late.utilisation < at_once.utilisation
    assert late.latency_s.mean > at_once.latency_s.mean


def test_processes_change_nothing() -> None:
    tried = [Setting("adaptive", 8), Setting("constant", 8, 0.002)]
    one, two = (sweep(bench(100), tried, [0.5], processes=count) for count in (1, 2))
    assert one == two


def test_more_than_the_model_answers_is_an_error() -> None:
    with pytest.raises(SimulationError, match="answers at most"):
        sweep(bench(100), [Setting("adaptive", 8)], rate_per_s=1e6)


@settings(max_examples=50)
@given(some_points, st.sampled_from(["mean", "p99"]))
def test_no_point_of_the_front_is_beaten_and_all_others_are(some: list[Point], statistic) -> None:
    def beats(one: Point, other: Point) -> bool:
        """As much traffic at as low a latency, and one of them better."""
        ours = one.rate_per_s, -getattr(one.latency_s, statistic)
        theirs = other.rate_per_s, -getattr(other.latency_s, statistic)
        return ours[0] >= theirs[0] and ours[1] >= theirs[1] and ours != theirs

    on = front(some, statistic)
    assert not any(beats(one, other) for one in some for other in on)
    of_front = {(one.rate_per_s, getattr(one.latency_s, statistic)) for one in on}
    for one in some:
        if (one.rate_per_s, getattr(one.latency_s, statistic)) not in of_front:
            assert any(beats(other, one) for other in on)


@settings(max_examples=50)
@given(some_points, st.floats(0.1, 1.0))
def test_the_recommended_point_meets_the_slo_and_none_with_more_traffic_does(
    some: list[Point], limit_s: float
) -> None:
    targets = objective_of(f"p99={limit_s}s")
    best = recommended(some, targets)
    if best is None:
        assert not any(meets(one, targets) for one in some)
        assert "no setting meets p99" in unmet(some, targets)
    else:
        assert best.latency_s.p99 <= limit_s
        more = [one for one in front(some, "p99") if one.rate_per_s > best.rate_per_s]
        assert not any(meets(one, targets) for one in more)


def test_of_settings_that_differ_by_chance_only_one_that_follows_traffic_is_recommended() -> None:
    constant = point(100.0, 0.0100, 0.2, Setting("constant", 8, 0.005))
    adaptive = point(100.0, 0.0102, 0.2, Setting("adaptive", 8))
    slower = point(100.0, 0.0120, 0.2, Setting("adaptive", 32))
    assert recommended([constant, adaptive, slower], objective_of("p99=1s")) is adaptive
    assert recommended([constant, slower], objective_of("p99=1s")) is constant


def test_an_slo_is_of_one_or_several_statistics_of_latency() -> None:
    one = point(100.0, 0.010, 0.2, Setting("adaptive", 8))
    assert meets(one, objective_of("p99=300ms"))
    both = objective_of("p95=300ms, latency_mean=5ms")
    assert not meets(one, both)
    assert achieved(one, both) == "p95 200 ms, mean 10.0 ms"
    assert tightest_s(both) == 0.005
    for text in ("ttft_p99=1s", "ttft=1s,goodput=90%"):
        with pytest.raises(SimulationError, match="not of latency"):
            objective_of(text)


def test_an_slo_may_be_of_the_items_within_a_limit() -> None:
    asked = objective_of("latency=50ms,goodput=95%")
    fast, slow = (
        replace(point(rate, 0.010, 0.2, Setting("adaptive", 8)), goodput=goodput)
        for rate, goodput in ((100.0, 0.97), (200.0, 0.80))
    )
    assert recommended([fast, slow], asked) is fast
    assert tightest_s(asked) == 0.05
    assert "no setting meets goodput=95%: the nearest has goodput 80%" in unmet([slow], asked)


def test_a_sweep_counts_the_items_within_the_limit() -> None:
    setting = Setting("constant", 8, 0.004)
    (whole,) = sweep(bench(), [setting], [0.7]).points
    limit_s = whole.latency_s.p90
    (point,) = sweep(replace(bench(), limit_s=limit_s), [setting], [0.7]).points
    assert whole.goodput == 1.0
    assert point.goodput == pytest.approx(0.9, abs=0.01)


def test_a_swept_front_meets_what_it_says(points: list[Point]) -> None:
    for one in front(points, "p99"):
        targets = objective_of(f"p99={one.latency_s.p99}s")
        best = recommended(points, targets)
        assert best is not None and best.rate_per_s == one.rate_per_s
