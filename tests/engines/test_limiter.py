"""ConcurrencyLimit: as many requests in flight as keep tokens fast."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.engines.limiter import ConcurrencyLimit


def settle(limit: ConcurrencyLimit, knee: int, answers: int) -> list[int]:
    """A backend that is fast up to `knee` requests, and slower in proportion beyond."""
    seen = []
    for _ in range(answers):
        in_flight = limit.limit
        limit.observe(0.01 * max(1.0, in_flight / knee), in_flight)
        seen.append(limit.limit)
    return seen


def test_it_finds_what_a_backend_can_do_and_stays_there() -> None:
    seen = settle(ConcurrencyLimit(initial=8), knee=20, answers=6000)
    late = seen[3000:]
    # Tokens may take 2.5 times their best, so up to 50; it probes upward and falls back.
    assert min(late) >= 35 and max(late) <= 51


def test_it_shrinks_on_a_slow_backend_down_to_the_least() -> None:
    limit = ConcurrencyLimit(initial=32)
    limit.observe(0.01, 1)
    for _ in range(200):
        limit.observe(0.1, limit.limit + 1)
    assert limit.limit == 1


def test_it_does_not_grow_while_it_is_not_in_use() -> None:
    limit = ConcurrencyLimit(initial=8)
    for _ in range(1000):
        limit.observe(0.01, 7)
    assert limit.limit == 8
    for _ in range(9):
        limit.observe(0.01, 8)
    assert limit.limit == 9


def test_one_slow_moment_counts_once() -> None:
    limit = ConcurrencyLimit(initial=10)
    limit.observe(0.01, 10)
    for _ in range(10):  # all that was in flight at that moment
        limit.observe(1.0, 10)
    assert limit.limit == 8


def test_a_backend_that_became_slower_for_good_gets_its_limit_back() -> None:
    limit = ConcurrencyLimit(initial=4)
    settle(limit, knee=4, answers=50)
    for _ in range(400):
        limit.observe(0.1 if limit.limit <= 8 else 1.0, limit.limit)
    assert limit.limit >= 4


def test_a_backend_that_says_so_is_overloaded() -> None:
    limit = ConcurrencyLimit(initial=8)
    limit.overloaded()
    assert limit.limit == 4


answers = st.lists(
    st.tuples(st.floats(1e-4, 10.0), st.integers(1, 100), st.booleans()), max_size=300
)


@given(answers, st.integers(1, 64), st.integers(64, 128))
def test_whatever_happens(seen: list[tuple[float, int, bool]], initial: int, most: int) -> None:
    limit = ConcurrencyLimit(initial=initial, most=most)
    for tpot_s, in_flight, overloaded in seen:
        before = limit.limit
        if overloaded:
            limit.overloaded()
            assert limit.limit <= before
        else:
            limit.observe(tpot_s, in_flight)
        assert 1 <= limit.limit <= most
        assert limit.limit <= before + 1
        if limit.limit > before:
            assert in_flight >= before
        assert limit.limit >= before // 2


def test_a_given_limit_is_what_it_begins_with_and_never_passes() -> None:
    limit = ConcurrencyLimit(initial=6, most=6)
    limit.overloaded()
    assert limit.limit == 3
    for _ in range(100):
        limit.answered(6)
    assert limit.limit == 6
