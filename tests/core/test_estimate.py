"""The distribution over output tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.estimate import LowerEnvelope, SizeEstimate

lengths = st.lists(st.integers(1, 5000), min_size=1, max_size=30)


def test_a_known_length_has_no_spread() -> None:
    estimate = SizeEstimate.exactly(70)
    assert (estimate.mean, estimate.quantile(0.01), estimate.quantile(0.99)) == (70.0, 70, 70)


@given(lengths)
def test_mean_and_quantiles_are_those_of_the_sample(sample) -> None:
    estimate = SizeEstimate.from_lengths(sample)
    assert estimate.mean == pytest.approx(sum(sample) / len(sample))
    assert estimate.quantile(0.0) == min(sample)
    assert estimate.quantile(1.0) == estimate.longest == max(sample)


@given(lengths, st.integers(1, 5000))
def test_a_limit_cuts_the_tail_and_keeps_the_mass(sample, limit) -> None:
    capped = SizeEstimate.from_lengths(sample).capped(limit)
    assert capped.longest <= limit
    assert sum(capped.weights) == pytest.approx(1.0)
    assert capped.mean == pytest.approx(sum(min(n, limit) for n in sample) / len(sample))


@given(lengths, st.integers(0, 6000))
def test_the_remaining_mean_is_that_of_the_longer_lengths(sample, produced) -> None:
    estimate = SizeEstimate.from_lengths(sample)
    longer = [n - produced for n in sample if n > produced]
    expected = sum(longer) / len(longer) if longer else max(1, produced)
    assert estimate.remaining_mean(produced) == pytest.approx(expected)
    assert estimate.after(produced).mean == pytest.approx(expected)


def test_gittins_is_the_length_itself_when_it_is_known() -> None:
    assert SizeEstimate.exactly(70).gittins_tokens(0) == 70.0
    assert SizeEstimate.exactly(70).gittins_tokens(30) == 40.0
    assert SizeEstimate.exactly(70).gittins_tokens(0, setup_tokens=5.0) == 75.0


def test_gittins_tries_a_request_that_may_end_soon_and_stops_it_if_it_has_not() -> None:
    gamble = SizeEstimate((10, 1000), (0.5, 0.5))
    # Ten tokens of work each try, half of the tries end: 20 per completion.
    assert gamble.gittins_tokens(0) == pytest.approx(20.0)
    assert gamble.gittins_tokens(10) == pytest.approx(990.0)
    assert gamble.gittins_tokens(0) < SizeEstimate.exactly(30).gittins_tokens(0)


@given(lengths, st.integers(0, 5000))
def test_gittins_never_expects_more_than_running_to_the_end(sample, produced) -> None:
    estimate = SizeEstimate.from_lengths(sample)
    assert estimate.gittins_tokens(produced) <= estimate.remaining_mean(produced) + 1e-6


@given(lengths, st.floats(0, 1e5))
def test_gittins_with_prefill_is_the_least_over_all_quanta(sample, setup_tokens) -> None:
    by_quantum = [
        (setup_tokens + sum(min(n, quantum) for n in sample) / len(sample))
        / (sum(n <= quantum for n in sample) / len(sample))
        for quantum in set(sample)
    ]
    estimate = SizeEstimate.from_lengths(sample)
    assert estimate.gittins_tokens(0, setup_tokens) == pytest.approx(min(by_quantum))


lines = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=12)


@given(lines, st.floats(0, 100))
def test_the_lower_envelope_is_the_least_of_its_lines(lines, x) -> None:
    envelope = LowerEnvelope(sorted(lines, key=lambda line: -line[1]))
    assert envelope.at(x) == pytest.approx(min(value + slope * x for value, slope in lines))


@pytest.mark.parametrize(
    ("tokens", "weights", "complaint"),
    [
        ((), (), "at least one"),
        ((1, 2), (1.0,), "as many weights"),
        ((2, 1), (1.0, 1.0), "increasing"),
        ((0, 1), (1.0, 1.0), "at least 1"),
        ((1, 2), (0.0, 0.0), "not all zero"),
        ((1, 2), (-1.0, 2.0), "non-negative"),
        ((1, 2), (float("nan"), 2.0), "finite"),
    ],
)
def test_a_broken_distribution_is_refused(tokens, weights, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        SizeEstimate(tokens, weights)


@given(
    st.dictionaries(st.integers(1, 60), st.floats(0.1, 5.0), min_size=1, max_size=8),
    st.integers(0, 70),
    st.floats(0.0, 80.0),
)
def test_remaining_within_is_the_mean_of_what_comes_before_the_limit(weights, produced, limit):
    points = sorted(weights)
    estimate = SizeEstimate(points, [weights[point] for point in points])
    longer = [point for point in points if point > produced]
    found = estimate.remaining_within(produced, limit)
    if longer:
        mass = sum(weights[point] for point in longer)
        by_hand = sum(weights[p] * min(p - produced, limit) for p in longer) / mass
        assert found == pytest.approx(by_hand, abs=1e-9)
    assert found <= limit + 1e-9
    assert found <= estimate.remaining_mean(produced) + 1e-9
