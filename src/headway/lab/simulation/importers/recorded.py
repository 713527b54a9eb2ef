"""A trace from recorded requests, in whatever order they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.trace import Trace


def recorded(
    name: str,
    at_s: Sequence[float],
    prompt_tokens: Sequence[int],
    output_tokens: Sequence[int],
    *,
    ids: Sequence[str] = (),
    after: Sequence[int] = (),
    **columns: Sequence[Any],
) -> Trace:
    """The requests that have an answer, in order of arrival; the first arrives at 0.

    Args:
        name: of the trace.
        at_s: seconds, from any beginning.
        prompt_tokens: 0 counts as 1: every prompt has a beginning.
        output_tokens: requests with less than 1 are left out.
        ids: may be empty.
        after: which request has to end first, by its place in these columns; -1: none.
        columns: any others of Trace, by name.

    Raises:
        SimulationError: an id occurs twice, or nothing was answered.
    """
    refuse_repeated(name, ids)
    order = [
        number
        for number in sorted(range(len(at_s)), key=at_s.__getitem__)
        if output_tokens[number] >= 1
    ]
    if not order:
        raise SimulationError(f"{name} holds no request that was answered")
    times_s = np.array([at_s[number] for number in order], float)
    place = {number: row for row, number in enumerate(order)}
    columns |= {"ids": ids if any(ids) else ()}
    others: dict[str, Any] = {
        column: [values[number] for number in order] for column, values in columns.items() if values
    }
    for column in ("gap_s", "shared_tokens"):
        if column in others:
            others[column] = np.array(others[column])
    if after:
        others["after"] = np.array([place.get(after[number], -1) for number in order])
    return Trace(
        name,
        times_s - times_s[0],
        np.array([max(1, prompt_tokens[number]) for number in order], int),
        np.array([output_tokens[number] for number in order], int),
        **others,
    )


def refuse_repeated(name: str, ids: Sequence[str]) -> None:
    """Raises SimulationError where an id, other than an empty one, occurs twice."""
    seen: dict[str, int] = {}
    for row, one in enumerate(ids, start=1):
        if one and seen.setdefault(one, row) != row:
            raise SimulationError(
                f"{name}, row {row}: id {one!r} is that of row {seen[one]}, too; were two files "
                f"joined? leave one of them out"
            )
