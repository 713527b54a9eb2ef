"""The shapes that a batch may have."""

import pytest

from headway.core.batching import Limits


def test_sizes_and_lengths_are_padded_to_what_the_model_takes() -> None:
    limits = Limits(max_size=8, sizes=(1, 4, 8), lengths=(16, 64))
    assert [limits.padded_size(size) for size in (1, 2, 4, 5, 8)] == [1, 4, 4, 8, 8]
    assert [limits.padded_length(length) for length in (1, 16, 17, 64)] == [16, 16, 64, 64]


def test_without_sizes_and_lengths_nothing_is_padded() -> None:
    limits = Limits(max_size=8)
    assert limits.padded_size(5) == 5
    assert limits.padded_length(1000) == 1000


def test_memory_counts_padding() -> None:
    limits = Limits(max_size=8, sizes=(1, 4, 8), lengths=(16, 64), max_tokens=256)
    assert limits.holds(3, 64)
    assert not limits.holds(5, 64)
    assert limits.holds(8, 16)
    assert limits.could_ever_hold(64)
    assert not limits.could_ever_hold(65)


def test_the_largest_batch_is_within_both_limits() -> None:
    assert Limits(max_size=6, sizes=(1, 4, 8)).largest == 6
    assert Limits(max_size=60, sizes=(1, 4, 8)).largest == 8


def test_sizes_to_plan_with_need_no_padding_or_are_a_grid() -> None:
    assert Limits(max_size=6, sizes=(1, 4, 8)).launchable() == (1, 4, 6)
    assert Limits(max_size=4).launchable() == (1, 2, 3, 4)
    grid = Limits(max_size=64).launchable()
    assert grid[0] == 1
    assert grid[-1] == 64
    assert len(grid) < 32
    assert list(grid) == sorted(set(grid))


@pytest.mark.parametrize(
    "wrong", [{"max_size": 0}, {"max_tokens": 0}, {"sizes": (4, 2)}, {"lengths": (0, 8)}]
)
def test_limits_that_make_no_sense_are_errors(wrong) -> None:
    with pytest.raises(ValueError, match="at least"):
        Limits(**wrong)


def test_too_large_a_batch_or_item_is_an_error() -> None:
    with pytest.raises(ValueError, match="may have 8 items, not 9"):
        Limits(max_size=8).padded_size(9)
    with pytest.raises(ValueError, match="lengths up to 64, not 65"):
        Limits(lengths=(16, 64)).padded_length(65)
