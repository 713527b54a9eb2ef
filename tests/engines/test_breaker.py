"""CircuitBreaker: who keeps failing gets nothing until a trial of ours succeeds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.engines.breaker import CircuitBreaker


def failing(breaker: CircuitBreaker, requests: int, now_s: float = 0.0) -> CircuitBreaker:
    for number in range(requests):
        breaker.failed(f"{now_s} {number}", now_s)
    return breaker


def test_it_opens_on_the_share_of_requests_that_fail() -> None:
    breaker = CircuitBreaker(failures=3)
    for number in range(4):
        breaker.succeeded(f"good {number}", 0.0)
    failing(breaker, 3)
    assert not breaker.is_open, "three of seven"
    breaker.failed("one more", 0.0)
    assert breaker.is_open


def test_one_request_counts_once_however_often_it_is_tried() -> None:
    breaker = CircuitBreaker(failures=3)
    for _ in range(20):
        breaker.failed("bad", 0.0)
    assert not breaker.is_open


def test_what_failed_long_ago_does_not_count() -> None:
    breaker = CircuitBreaker(failures=3)
    failing(breaker, 2)
    breaker.failed("later", 61.0)
    assert not breaker.is_open


def test_only_a_trial_of_ours_closes_it() -> None:
    breaker = failing(CircuitBreaker(failures=3, cooldown_s=1.0, good_trials=1), 3)
    breaker.succeeded("from before", 0.5)
    assert breaker.is_open and breaker.trial_at_s == 1.0
    breaker.tried(True, 1.0, began_s=1.0)
    assert not breaker.is_open


def test_who_fails_at_random_must_pass_several_trials_in_a_row() -> None:
    breaker = failing(CircuitBreaker(failures=1, cooldown_s=1.0), 1)
    for good in (True, True, False, True, True):
        breaker.tried(good, 2.0, began_s=1.5)
        assert breaker.is_open
    assert breaker.trial_at_s == 2.0, "after a good one the next follows at once"
    breaker.tried(True, 2.0, began_s=2.0)
    assert not breaker.is_open


def test_a_trial_that_hung_does_not_hold_up_the_next_one() -> None:
    breaker = failing(CircuitBreaker(failures=1, cooldown_s=1.0), 1)
    breaker.tried(False, 6.0, began_s=1.0)
    assert breaker.trial_at_s is not None and breaker.trial_at_s <= 6.0


def test_each_failed_trial_doubles_the_pause_up_to_a_limit() -> None:
    breaker = CircuitBreaker(failures=1, cooldown_s=1.0, max_cooldown_s=3.0, good_trials=1)
    failing(breaker, 1)
    times = [breaker.trial_at_s]
    for _ in range(3):
        breaker.tried(False, breaker.trial_at_s, began_s=breaker.trial_at_s)
        times.append(breaker.trial_at_s)
    assert times == [1.0, 3.0, 6.0, 9.0]
    breaker.tried(True, 9.0, began_s=9.0)
    breaker.succeeded("good", 9.0)
    assert failing(breaker, 1, 9.0).trial_at_s == 10.0


def test_who_answers_trials_and_fails_clients_opens_sooner_and_for_longer() -> None:
    breaker = failing(CircuitBreaker(failures=5, cooldown_s=1.0, good_trials=1), 5)
    breaker.tried(True, 1.0, began_s=1.0)
    failing(breaker, 2, 2.0)
    assert breaker.is_open and breaker.trial_at_s == 4.0


def test_a_request_that_was_to_blame_is_taken_back() -> None:
    breaker = failing(CircuitBreaker(failures=3), 2)
    breaker.failed("bad", 0.0)
    assert breaker.is_open
    breaker.forgive("bad", 0.1)
    assert not breaker.is_open
    breaker.forgive("somebody else", 0.1)
    breaker.failed("bad too", 0.2)
    assert breaker.is_open


def test_silence_opens_it_at_once_and_a_sign_of_life_closes_it() -> None:
    breaker = CircuitBreaker(cooldown_s=1.0)
    breaker.trip(5.0)
    assert breaker.is_open and breaker.is_silent and breaker.trial_at_s == 6.0
    breaker.forgive("whoever", 5.0)
    breaker.heard(4.9)
    assert breaker.is_open, "that was before"
    breaker.heard(5.1)
    assert not breaker.is_open and not breaker.is_silent


def test_a_sign_of_life_does_not_close_what_failures_opened() -> None:
    breaker = failing(CircuitBreaker(failures=1), 1)
    breaker.heard(1.0)
    assert breaker.is_open and not breaker.is_silent


events = st.lists(
    st.tuples(
        st.sampled_from(["good", "bad", "bad", "trip", "heard", "forgive", "trial", "no trial"]),
        st.floats(0.0, 5.0),
        st.integers(0, 4),
    ),
    max_size=80,
)


@given(events, st.integers(1, 6))
def test_whatever_happens(seen: list[tuple[str, float, int]], failures: int) -> None:
    breaker = CircuitBreaker(failures=failures, cooldown_s=1.0, max_cooldown_s=8.0, good_trials=1)
    now_s = 0.0
    for kind, pause_s, who in seen:
        now_s += pause_s
        was_open = breaker.is_open
        match kind:
            case "good":
                breaker.succeeded(f"r{who}", now_s)
                assert breaker.is_open is was_open
            case "bad":
                breaker.failed(f"r{who}", now_s)
                assert breaker.is_open or not was_open
            case "trip":
                breaker.trip(now_s)
                assert breaker.is_open
            case "heard":
                breaker.heard(now_s)
                assert not breaker.is_silent or pause_s < 1e-9
            case "forgive":
                breaker.forgive(f"r{who}", now_s)
                assert was_open or not breaker.is_open
            case "trial" | "no trial":
                began_s = now_s - pause_s
                breaker.tried(kind == "trial", now_s, began_s=began_s)
                assert breaker.is_open is (was_open and kind == "no trial")
        assert breaker.is_open is (breaker.trial_at_s is not None)
        if breaker.trial_at_s is not None and not was_open:
            assert now_s < breaker.trial_at_s <= now_s + 8.0, "it is tried again soon"
