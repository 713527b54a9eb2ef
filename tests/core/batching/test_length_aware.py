"""Cutting items by length: against every partition there is, and what it saves."""

from collections.abc import Iterator
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.batching.drive import item

from headway.core.batching import Curve, Limits
from headway.core.batching.length_aware import LengthIndex, companions, cut

CURVE = Curve(fixed_s=0.005, item_s=0.0005, token_s=0.00005)
FREE = Limits(max_size=8)

limits_of_every_kind = st.builds(
    Limits,
    max_size=st.sampled_from([2, 3, 8]),
    sizes=st.sampled_from([(), (1, 2, 4, 8), (3, 6)]),
    lengths=st.sampled_from([(), (32, 128, 512)]),
    max_tokens=st.sampled_from([None, 1600]),
)
curves = st.builds(
    Curve,
    fixed_s=st.sampled_from([0.0001, 0.005, 0.1]),
    item_s=st.sampled_from([0.0, 0.0005]),
    token_s=st.sampled_from([0.0, 0.00001, 0.001]),
)


def total_s(batches: list[list[int]], limits: Limits, curve: Curve) -> float:
    """What the batches take, or infinity if one of them is not allowed."""
    if not all(limits.holds(len(batch), max(batch)) for batch in batches):
        return float("inf")
    return sum(
        curve.batch_s(limits.padded_size(len(batch)), limits.padded_length(max(batch)))
        for batch in batches
    )


def batches_of(lengths: list[int], ends: list[int]) -> list[list[int]]:
    return [lengths[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """Every way to put items into batches, sorted or not."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in partitions(rest):
        yield [[first], *partition]
        for index, batch in enumerate(partition):
            yield [*partition[:index], [first, *batch], *partition[index + 1 :]]


def allowed(lengths: list[int], limits: Limits) -> list[int]:
    """Those that the model takes alone."""
    return sorted(length for length in lengths if limits.could_ever_hold(length))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 512), max_size=8), limits_of_every_kind, curves)
def test_no_other_cut_takes_less(lengths, limits, curve) -> None:
    lengths = allowed(lengths, limits)
    found = total_s(batches_of(lengths, cut(lengths, 8, limits, curve)), limits, curve)
    places = range(1, len(lengths))
    every_cut = (
        [*chosen, len(lengths)]
        for count in range(len(lengths))
        for chosen in combinations(places, count)
    )
    best = min(
        (total_s(batches_of(lengths, ends), limits, curve) for ends in every_cut), default=0.0
    )
    assert found == pytest.approx(best)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 512), min_size=1, max_size=6), limits_of_every_kind, curves)
def test_nor_does_any_partition_at_all(lengths, limits, curve) -> None:
    """Which is why it is enough to cut a sorted list."""
    lengths = allowed(lengths, limits)
    found = total_s(batches_of(lengths, cut(lengths, 8, limits, curve)), limits, curve)
    best = min(total_s(partition, limits, curve) for partition in partitions(lengths))
    assert found == pytest.approx(best)


def test_short_items_do_not_pay_for_the_padding_of_long_ones() -> None:
    assert cut([8, 8, 8, 250, 255, 256], 8, FREE, CURVE) == [3, 6]


def test_where_a_batch_costs_more_than_padding_all_go_together() -> None:
    assert cut([8, 8, 8, 250], 8, FREE, Curve(1.0, 0.0005, 0.00005)) == [4]


def test_nothing_is_cut_into_nothing() -> None:
    assert cut([], 8, FREE, CURVE) == []


def test_a_mix_of_lengths_takes_much_less_time_than_in_order_of_arrival() -> None:
    random = Random(3)
    lengths = [random.choice((8, 16, 24, 32, 64, 256)) for _ in range(640)]
    in_order = total_s([lengths[at : at + 8] for at in range(0, 640, 8)], FREE, CURVE)
    lengths.sort()
    by_length = total_s(batches_of(lengths, cut(lengths, 8, FREE, CURVE)), FREE, CURVE)
    assert in_order > 1.5 * by_length


def waiting(*lengths: int) -> tuple[LengthIndex, dict[str, object]]:
    index, items = LengthIndex(), {}
    for place, length in enumerate(lengths):
        one = items[f"r{place}"] = item(f"r{place}", length)
        one.sequence = place
        index.add(one)
    return index, items


def test_the_most_urgent_item_runs_with_those_of_its_length() -> None:
    index, _ = waiting(8, 250, 9, 256, 10)
    leader = item("leader", 255)
    leader.sequence = 99
    chosen = companions(leader, index, 8, FREE, CURVE)
    assert [request.prompt_tokens for request in chosen] == [256, 250]


def test_an_item_that_was_removed_joins_no_batch() -> None:
    index, items = waiting(8, 8, 8)
    index.remove(items["r1"])
    shorter, longer = index.beside(items["r1"], 5)
    assert [request.id for request in [*shorter, *longer]] == ["r0", "r2"]


def test_fillers_are_the_longest_that_need_no_more_padding() -> None:
    index, _ = waiting(8, 64, 32, 65, 64)
    assert [request.prompt_tokens for request in index.longest_within(64, 3)] == [64, 64, 32]
