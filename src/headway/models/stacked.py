"""Batches of tensor items: items of the same shape run together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from headway.models.signature import ModelFailure

Tensors = Mapping[str, np.ndarray]
"""Arrays by name: of one item, without the batch axis, or of a batch, with it."""

CLOSE = 0.1
"""How far an item's numbers may be from those that it gets alone, as a share of the largest: the
rounding of quantized models depends on the batch."""


class Stacked:
    """Runs items of the same shape together, and holds the model to a row for each of them.

    A model's shapes often do not say that its first axis is the batch. The first batch of several
    items is therefore compared with its first item alone: a constant, a transposed output or a
    filter over the axis would answer an item with what belongs to others.

    Args:
        run: runs a batch.
    """

    def __init__(self, run: Callable[[Tensors], Tensors]) -> None:
        self._run = run
        self._compared = False

    def __call__(self, items: Sequence[Tensors]) -> list[Tensors]:
        """Return the outputs of each item; shapes may differ between items.

        Raises:
            ModelFailure: an output has no row for each item, or rows depend on each other.
        """
        found: list[Tensors] = [{}] * len(items)
        for places, batch in stacks(items):
            outputs = self._run(batch)
            of_items = rows_of(outputs, len(places))
            if len(places) > 1 and not self._compared:
                self._compare({name: array[:1] for name, array in batch.items()}, of_items[0])
            for place, of_item in zip(places, of_items, strict=True):
                found[place] = of_item
        return found

    def _compare(self, first: Tensors, beside_others: Tensors) -> None:
        (alone,) = rows_of(self._run(first), 1)
        differing = _differing(alone, beside_others)
        if differing is not None:
            (again,) = rows_of(self._run(first), 1)
            if _differing(alone, again) is None:  # else it is chance
                raise ModelFailure(
                    f"its output {differing!r} for an item depends on what it is batched with; "
                    "export it with a batch axis that comes first"
                )
        self._compared = True


def rows_of(outputs: Tensors, count: int) -> list[Tensors]:
    """The outputs of each of `count` items.

    Raises:
        ModelFailure: an output has no row for each.
    """
    for name, output in outputs.items():
        # A graph may return a list, such as a mapping of labels for each item.
        shape = (len(output),) if isinstance(output, list) else output.shape
        if shape[:1] != (count,):
            raise ModelFailure(
                f"its output {name!r} has the shape {list(shape)} for {count} items, which "
                "is no row for each; export it with a batch axis that comes first"
            )
    return [{name: output[row] for name, output in outputs.items()} for row in range(count)]


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


def _differing(one: Tensors, other: Tensors) -> str | None:
    """The name of an output that differs; None: they are about equal."""
    for name in one:
        array, beside = np.asarray(one[name]), np.asarray(other[name])
        if array.shape != beside.shape:
            return name
        if array.dtype.kind != "f" or not array.size:
            continue
        largest = float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
        if not np.allclose(array, beside, rtol=0.0, atol=CLOSE * largest + 1e-6, equal_nan=True):
            return name
    return None
