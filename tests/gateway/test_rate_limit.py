from __future__ import annotations

import pytest

from headway.gateway.rate_limit import TokenBucket


def test_a_full_bucket_gives_a_minute_s_worth_at_once_and_then_makes_wait() -> None:
    bucket = TokenBucket(per_minute=60, now_s=0.0)
    for _ in range(60):
        assert bucket.wait_s(1, 0.0) == 0.0
        bucket.take(1, 0.0)
    assert bucket.wait_s(1, 0.0) == pytest.approx(1.0)
    assert bucket.wait_s(1, 1.0) == 0.0


def test_what_was_not_known_beforehand_is_paid_back() -> None:
    bucket = TokenBucket(per_minute=600, now_s=0.0)
    bucket.take(1200, 0.0)
    assert bucket.wait_s(1, 0.0) == pytest.approx(60.1)


def test_it_saves_up_no_more_than_a_minute_s_worth() -> None:
    bucket = TokenBucket(per_minute=10, now_s=0.0)
    bucket.take(10, 3600.0)
    assert bucket.wait_s(1, 3600.0) > 0.0


def test_a_request_larger_than_the_bucket_needs_it_full() -> None:
    bucket = TokenBucket(per_minute=100, now_s=0.0)
    assert bucket.wait_s(1_000_000, 0.0) == 0.0
    bucket.take(50, 0.0)
    assert bucket.wait_s(1_000_000, 0.0) == pytest.approx(30.0)
