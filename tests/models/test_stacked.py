"""Tensors of one shape run together, and each item gets its own result."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headway.models.stacked import Tensors, run_stacked, stacks


@given(st.lists(st.integers(0, 3)))
def test_items_of_any_shapes_get_their_own_results_in_their_places(lengths: list[int]) -> None:
    sizes = []

    def doubled(batch: Tensors) -> Tensors:
        sizes.append(len(batch["x"]))
        return {"y": batch["x"] * 2}

    items = [{"x": np.full(length, place)} for place, length in enumerate(lengths)]
    found = run_stacked(items, doubled)
    assert [one["y"].tolist() for one in found] == [(item["x"] * 2).tolist() for item in items]
    assert len(sizes) == len(set(lengths))  # as few runs as there are shapes
    assert sum(sizes) == len(items)


def test_different_types_and_names_are_not_stacked() -> None:
    items = [{"x": np.zeros(2)}, {"x": np.zeros(2, int)}, {"y": np.zeros(2)}, {"x": np.ones(2)}]
    assert [places for places, _ in stacks(items)] == [[0, 3], [1], [2]]
