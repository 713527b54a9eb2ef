"""Batches of tensor items: items of the same shape run together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

Tensors = Mapping[str, np.ndarray]
"""Arrays by name: of one item, without the batch axis, or of a batch, with it."""


def run_stacked(items: Sequence[Tensors], run: Callable[[Tensors], Tensors]) -> list[Tensors]:
    """Return the outputs of each item; shapes may differ between items.

    Args:
        items: in any order.
        run: runs a batch of items of the same shape.
    """
    found: list[Tensors] = [{}] * len(items)
    for places, batch in stacks(items):
        outputs = run(batch)
        for row, place in enumerate(places):
            found[place] = {name: output[row] for name, output in outputs.items()}
    return found


def stacks(items: Sequence[Tensors]) -> Iterator[tuple[list[int], Tensors]]:
    """Batches of items of the same shape, each with the indices of its items."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, item in enumerate(items):
        shape = tuple((name, array.shape, array.dtype.str) for name, array in item.items())
        alike.setdefault(shape, []).append(place)
    for places in alike.values():
        yield (
            places,
            {name: np.stack([items[p][name] for p in places]) for name in items[places[0]]},
        )
