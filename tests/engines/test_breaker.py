"""CircuitBreaker: after failures in a row nobody is sent there, then one, to see."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.engines.breaker import BreakerState, CircuitBreaker


def test_it_opens_after_failures_in_a_row_and_lets_one_through_later() -> None:
    breaker = CircuitBreaker(threshold=3, cooldown_s=1.0, max_cooldown_s=3.0)
    breaker.failed(0.0)
    breaker.failed(0.0)
    breaker.succeeded(0.0)
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED
    breaker.failed(0.0)
    assert breaker.state(0.9) is BreakerState.OPEN
    assert breaker.state(1.0) is BreakerState.HALF_OPEN
    breaker.succeeded(1.0)
    assert breaker.state(1.0) is BreakerState.CLOSED


def test_each_failed_trial_doubles_the_pause_up_to_a_limit() -> None:
    breaker = CircuitBreaker(threshold=1, cooldown_s=1.0, max_cooldown_s=3.0)
    breaker.failed(0.0)
    assert breaker.open_until_s == 1.0
    breaker.failed(1.0)
    assert breaker.open_until_s == 3.0
    breaker.failed(3.0)
    assert breaker.open_until_s == 6.0
    breaker.failed(6.0)
    assert breaker.open_until_s == 9.0
    breaker.succeeded(9.0)
    breaker.failed(9.0)
    assert breaker.open_until_s == 10.0


def test_answers_to_requests_from_before_neither_close_it_nor_prolong_it() -> None:
    breaker = CircuitBreaker(threshold=1, cooldown_s=1.0)
    breaker.failed(0.0)
    breaker.succeeded(0.5)
    breaker.failed(0.5)
    assert breaker.open_until_s == 1.0


events = st.lists(st.tuples(st.booleans(), st.floats(0.0, 5.0)), max_size=60)


@given(events, st.integers(1, 6))
def test_whatever_happens(outcomes: list[tuple[bool, float]], threshold: int) -> None:
    breaker = CircuitBreaker(threshold=threshold, cooldown_s=1.0, max_cooldown_s=8.0)
    now_s = 0.0
    in_a_row = 0
    for good, pause_s in outcomes:
        now_s += pause_s
        before = breaker.state(now_s)
        if good:
            breaker.succeeded(now_s)
            in_a_row = 0
        else:
            breaker.failed(now_s)
            in_a_row += 1
        after = breaker.state(now_s)
        if before is BreakerState.OPEN:
            assert after is BreakerState.OPEN  # only time opens the way
        elif good:
            assert after is BreakerState.CLOSED
        elif before is BreakerState.HALF_OPEN:
            assert after is BreakerState.OPEN
        if before is BreakerState.CLOSED and after is BreakerState.OPEN:
            assert in_a_row >= threshold
        until_s = breaker.open_until_s
        assert until_s is None or until_s <= now_s + 8.0  # as it is added, so as it is rounded
        if until_s is not None:
            assert breaker.state(max(until_s, now_s)) is BreakerState.HALF_OPEN
