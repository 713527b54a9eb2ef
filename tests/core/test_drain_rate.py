"""How fast waiting work is begun."""

import pytest

from headway.core.drain_rate import DrainRate


def busy(starts: int) -> DrainRate:
    """Two seconds of work each second."""
    rate = DrainRate()
    for number in range(starts):
        rate.began(2.0, float(number))
    return rate


def test_work_takes_its_amount_over_the_rate() -> None:
    assert busy(500).time_s(10.0) == pytest.approx(5.0)


@pytest.mark.parametrize("starts", [0, 1])
def test_nothing_is_predicted_before_two_starts(starts) -> None:
    assert busy(starts).time_s(10.0) == 0.0


@pytest.mark.parametrize("jump_s", [1e6, -1e6])
def test_a_night_or_a_clock_that_jumps_changes_little(jump_s) -> None:
    rate = busy(500)
    for number in range(500, 600):
        rate.began(2.0, number + jump_s)
    assert rate.time_s(10.0) == pytest.approx(5.0, rel=0.1)


def test_it_follows_a_backend_that_becomes_slower() -> None:
    rate = busy(500)
    for number in range(10_000):
        rate.began(2.0, 500.0 + 4.0 * number)
    assert rate.time_s(10.0) == pytest.approx(20.0, rel=0.01)
