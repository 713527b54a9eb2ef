"""The length of an item, for batches of about equal length and limits in tokens."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from headway.models.signature import Signature, TensorSpec


def length_of(item: Any, signature: Signature | None, unit: int) -> int:
    """The length of `item` in units, rounded up, at least 1.

    A text counts its characters, a list its entries, a tuple the sum of its parts, an object its
    longest value. The item of a model that reads texts counts its tokens. A tensor counts the
    product of its variable axes; without a signature, of all axes.

    Args:
        item: one item, without the batch axis.
        signature: the model's signature, if it describes tensors.
        unit: number of characters, entries or values that count as 1, such as 160 samples for
            10 ms.
    """
    if signature is not None and signature.takes_text:
        return int(item.shape[-1])
    specs = {spec.name: spec for spec in signature.inputs} if signature is not None else {}
    return max(1, -(-_natural(item, specs) // unit))


def _natural(item: Any, specs: Mapping[str, TensorSpec]) -> int:
    if isinstance(item, Mapping):
        return max((_of(value, specs.get(name)) for name, value in item.items()), default=1)
    return _of(item, None)


def _of(value: Any, spec: TensorSpec | None) -> int:
    if isinstance(value, (str, bytes, list)):
        return len(value)
    if isinstance(value, tuple):
        return sum(_of(part, None) for part in value)
    if not isinstance(value, np.ndarray):
        return 1
    if value.dtype == object:
        return sum(_of(one, None) for one in value.ravel())
    if spec is None or not value.ndim:
        return value.size
    # Compare the last axes: the spec may or may not begin with the batch axis.
    axes = zip(value.shape, spec.shape[-value.ndim :], strict=False)
    return prod(size for size, expected in axes if expected == -1)
