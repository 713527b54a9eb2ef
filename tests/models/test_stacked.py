"""Tensors of one shape run together, and each item gets its own result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.models.signature import ModelFailure
from headway.models.stacked import Stacked, Tensors, stacks


@given(st.lists(st.integers(0, 3)))
def test_items_of_any_shapes_get_their_own_results_in_their_places(lengths: list[int]) -> None:
    sizes = []

    def doubled(batch: Tensors) -> Tensors:
        sizes.append(len(batch["x"]))
        return {"y": batch["x"] * 2}

    items = [{"x": np.full(length, place)} for place, length in enumerate(lengths)]
    found = Stacked(doubled)(items)
    assert [one["y"].tolist() for one in found] == [(item["x"] * 2).tolist() for item in items]
    # As few runs as there are shapes, and one of an item alone, if any two ran together.
    together = len(items) > len(set(lengths))
    assert len(sizes) == len(set(lengths)) + together
    assert sum(sizes) == len(items) + together


def test_different_types_and_names_are_not_stacked() -> None:
    items = [{"x": np.zeros(2)}, {"x": np.zeros(2, int)}, {"y": np.zeros(2)}, {"x": np.ones(2)}]
    assert [places for places, _ in stacks(items)] == [[0, 3], [1], [2]]


ITEMS = [{"x": np.array([n, n + 1.0])} for n in range(2)]
CHANCE = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda batch: {"y": np.array([1.0, 2.0, 3.0])}, r"'y' has the shape \[3\] for 2 items"),
        (lambda batch: {"y": np.array(1.0)}, r"'y' has the shape \[\] for 2 items"),
        (lambda batch: {"y": batch["x"][:1]}, r"'y' has the shape \[1, 2\] for 2 items"),
        # By chance as many rows as items:
        (lambda batch: {"y": np.array([1.0, 2.0])}, r"'y' has the shape \[2\] for 1 items"),
        (lambda batch: {"y": batch["x"].T}, r"'y' has the shape \[2, 1\] for 1 items"),
        # A row for each item, of which each depends on the others:
        (lambda batch: {"y": batch["x"] - batch["x"].mean(0)}, "depends on what it is batched"),
        (lambda batch: {"y": np.cumsum(batch["x"][::-1], axis=0)}, "depends on what it is batched"),
    ],
)
def test_a_model_without_a_row_for_each_item_answers_nobody_with_anothers(run, message) -> None:
    stacked = Stacked(run)
    for _ in range(2):
        with pytest.raises(ModelFailure, match=message):
            stacked(ITEMS)


@pytest.mark.parametrize(
    "run",
    [
        lambda batch: {"y": batch["x"] + CHANCE.normal(size=batch["x"].shape)},
        lambda batch: {"y": batch["x"] * (1 + 0.01 * len(batch["x"]))},  # as quantized models round
        lambda batch: {"y": np.full(len(batch["x"]), np.nan)},
        lambda batch: {"y": np.array([b"a"] * len(batch["x"]), object), "z": batch["x"].argmax(1)},
    ],
)
def test_chance_and_rounding_are_no_dependence(run) -> None:
    assert len(Stacked(run)(ITEMS)) == 2
