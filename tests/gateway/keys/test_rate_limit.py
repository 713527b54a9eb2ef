from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.gateway.keys.rate_limit import Reservation, TokenBucket


def test_a_full_bucket_gives_a_minute_s_worth_at_once_and_then_makes_wait() -> None:
    bucket = TokenBucket(per_minute=60, now_s=0.0)
    for _ in range(60):
        assert bucket.wait_s(1, 0.0) == 0.0
        bucket.reserve(1, 0.0)
    assert bucket.wait_s(1, 0.0) == pytest.approx(1.0)
    assert bucket.wait_s(1, 1.0) == 0.0


def test_what_was_not_known_beforehand_is_paid_back() -> None:
    bucket = TokenBucket(per_minute=600, now_s=0.0)
    bucket.reserve(100, 0.0).settle(1200, 0.0)
    assert bucket.wait_s(1, 0.0) == pytest.approx(60.1)


def test_what_was_not_used_goes_back() -> None:
    bucket = TokenBucket(per_minute=600, now_s=0.0)
    reservation = bucket.reserve(600, 0.0)
    assert bucket.wait_s(500, 0.0) == pytest.approx(50.0)
    reservation.settle(100, 0.0)
    assert bucket.wait_s(500, 0.0) == 0.0
    assert bucket.wait_s(501, 0.0) > 0.0


def test_what_the_refill_replaced_does_not_go_back_again() -> None:
    bucket = TokenBucket(per_minute=100, now_s=0.0)
    long_ago = bucket.reserve(100, 0.0)
    bucket.reserve(100, 60.0)
    long_ago.settle(0, 60.0)
    assert bucket.wait_s(1, 60.0) > 0.0


def test_a_reservation_that_nobody_settles_is_paid_by_time() -> None:
    bucket = TokenBucket(per_minute=100, now_s=0.0)
    bucket.reserve(100, 0.0)
    assert bucket.wait_s(100, 60.0) == 0.0


def test_it_saves_up_no_more_than_a_minute_s_worth() -> None:
    bucket = TokenBucket(per_minute=10, now_s=0.0)
    bucket.reserve(10, 3600.0)
    assert bucket.wait_s(1, 3600.0) > 0.0


def test_a_request_larger_than_the_bucket_needs_it_full() -> None:
    bucket = TokenBucket(per_minute=100, now_s=0.0)
    assert bucket.wait_s(1_000_000, 0.0) == 0.0
    bucket.reserve(50, 0.0)
    assert bucket.wait_s(1_000_000, 0.0) == pytest.approx(30.0)


LIMIT = 100
EVENT = st.tuples(
    st.sampled_from([0.0, 0.0, 0.1, 5.0, 29.0, 61.0]),  # seconds since the event before
    st.sampled_from(["ask", "ask", "settle", "settle_oldest"]),
    st.integers(1, LIMIT),  # what is reserved
    st.floats(0.0, 1.0),  # share of it that is used
)


@given(st.lists(EVENT, max_size=60))
def test_no_minute_uses_more_than_the_limit_and_one_burst(
    events: list[tuple[float, str, int, float]],
) -> None:
    bucket = TokenBucket(LIMIT, 0.0)
    now_s = 0.0
    open_: list[tuple[Reservation, int]] = []
    used: list[tuple[float, float]] = []  # when it was admitted, and what it used
    for pause_s, kind, amount, share in events:
        now_s += pause_s
        if kind == "ask":
            if bucket.wait_s(amount, now_s) == 0.0:
                open_.append((bucket.reserve(amount, now_s), len(used)))
                used.append((now_s, float(amount)))  # until it is settled
        elif open_:
            reservation, place = open_.pop(0 if kind == "settle_oldest" else -1)
            used[place] = (used[place][0], reservation.amount * share)
            reservation.settle(reservation.amount * share, now_s)
    for start_s, _ in used:
        within = sum(amount for at_s, amount in used if start_s <= at_s <= start_s + 60.0)
        assert within <= 2 * LIMIT + 1e-6


@given(st.lists(EVENT, max_size=60))
def test_nothing_stays_reserved(events: list[tuple[float, str, int, float]]) -> None:
    """Once everybody has settled, the bucket is what it would be had they known their use."""
    bucket = TokenBucket(LIMIT, 0.0)
    now_s = 0.0
    open_: list[Reservation] = []
    for pause_s, kind, amount, share in events:
        now_s += pause_s
        if kind == "ask":
            if bucket.wait_s(amount, now_s) == 0.0:
                open_.append(bucket.reserve(amount, now_s))
        elif open_:
            reservation = open_.pop()
            reservation.settle(reservation.amount * share, now_s)
    for reservation in open_:
        reservation.settle(0.0, now_s)
    assert bucket.wait_s(LIMIT, now_s + 60.0) < 1e-6
    assert bucket.wait_s(LIMIT, now_s) <= 60.0 + 1e-6


@given(st.lists(st.integers(1, LIMIT), max_size=60))
def test_what_is_withdrawn_at_once_costs_nothing(amounts: list[int]) -> None:
    bucket = TokenBucket(LIMIT, 0.0)
    for reservation in [bucket.reserve(amount, 0.0) for amount in amounts]:
        reservation.settle(0.0, 0.0)
    assert bucket.wait_s(LIMIT, 0.0) < 1e-6
