"""The place of a waiting request is a string that sorts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.sharing.place import WIDTH, place, sortable
from headway.core.sharing.share import share

numbers = st.floats(allow_nan=False)
times = st.floats(0.0, 1e10)
facts = st.tuples(st.one_of(times, st.just(float("inf"))), st.integers(0, 2), numbers, times)


@given(numbers, numbers)
def test_numbers_sort_as_their_strings_do(one, other) -> None:
    assert (one < other) == (sortable(one) < sortable(other))
    assert (one == other) == (sortable(one) == sortable(other))


@given(facts, facts, times)
def test_due_ones_come_first_then_tiers_then_ranks_then_arrivals(one, other, now_s) -> None:
    def order(of):
        due_s, tier, rank, arrival_s = of
        return (0, due_s, arrival_s) if due_s <= now_s else (1, tier, rank, arrival_s)

    places = [place(*of, now_s) for of in (one, other)]
    assert (order(one) < order(other)) == (places[0] < places[1])
    assert {len(found) for found in places} == {WIDTH}


def test_a_rank_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        sortable(float("nan"))


@given(st.integers(0, 1000), st.integers(1, 50))
def test_shares_are_in_sum_the_slots_and_about_equal(slots, gateways) -> None:
    shares = [share(slots, gateways, index) for index in range(gateways)]
    assert sum(shares) == slots
    assert max(shares) - min(shares) <= 1


def test_there_is_no_share_for_a_gateway_beyond_the_last() -> None:
    with pytest.raises(ValueError, match="no gateway 3 of 3"):
        share(8, 3, 3)
