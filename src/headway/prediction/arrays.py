"""Types of arrays that models consist of, and their names in files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

State = Mapping[str, NDArray[np.generic]]
"""Everything that a model has learned, as plain arrays by name."""


def part(state: State, name: str) -> State:
    """The arrays of `state` whose names begin with `name/`, without that prefix."""
    prefix = f"{name}/"
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def named(name: str, state: State) -> State:
    """`state` with `name/` before every name: the inverse of `part`."""
    return {f"{name}/{key}": value for key, value in state.items()}
