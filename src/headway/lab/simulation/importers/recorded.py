"""A trace from recorded requests, in whatever order they stand."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.rows import in_order
from headway.lab.simulation.trace import Trace


def recorded(
    name: str,
    at_s: Sequence[float],
    prompt_tokens: Sequence[int],
    output_tokens: Sequence[int],
    *,
    ids: Sequence[str] = (),
    after: Sequence[int] = (),
    left_out: int = 0,
    **columns: Sequence[Any],
) -> Trace:
    """The requests that have an answer, in order of arrival; the first arrives at 0.

    Args:
        name: of the trace.
        at_s: seconds, from any beginning.
        prompt_tokens: as `prompts_column` takes them.
        output_tokens: requests with less than 1 are left out.
        ids: may be empty.
        after: which request has to end first, by its place in these columns; -1: none.
        left_out: further requests that have no answer.
        columns: any others of Trace, by name.

    Raises:
        SimulationError: an id occurs twice, a number makes no sense, or nothing was answered.
    """
    refuse_repeated(name, ids)
    for row, one_s in enumerate(at_s, start=1):
        if not isfinite(one_s):
            raise SimulationError(
                f"{name}, row {row}: {one_s} is no time; correct it, or leave the row out"
            )
    order = [number for number in in_order(at_s) if output_tokens[number] >= 1]
    if not order:
        raise SimulationError(f"{name} holds no request that was answered")
    times_s = np.array([at_s[number] for number in order], float)
    place = {number: row for row, number in enumerate(order)}
    columns |= {"ids": ids if any(ids) else ()}
    others: dict[str, Any] = {
        column: [values[number] for number in order] for column, values in columns.items() if values
    }
    if "gap_s" in others:
        others["gap_s"] = np.array(others["gap_s"], float)
    if "shared_tokens" in others:
        others["shared_tokens"] = tokens_column(name, others["shared_tokens"])
    if after:
        others["after"] = np.array([place.get(after[number], -1) for number in order])
    return Trace(
        name,
        times_s - times_s[0],
        prompts_column(name, [prompt_tokens[number] for number in order]),
        tokens_column(name, [output_tokens[number] for number in order]),
        left_out=left_out + len(at_s) - len(order),
        **others,
    )


def prompts_column(name: str, prompt_tokens: Sequence[int]) -> np.ndarray:
    """Lengths of prompts; 0 counts as 1, since every prompt has a beginning.

    Raises:
        SimulationError: one is negative, or beyond all reason.
    """
    if min(prompt_tokens, default=0) < 0:
        raise SimulationError(
            f"{name} has an answered request with {min(prompt_tokens)} prompt tokens; correct it, "
            f"or leave the row out"
        )
    return tokens_column(name, [max(1, tokens) for tokens in prompt_tokens])


def tokens_column(name: str, values: Sequence[int]) -> np.ndarray:
    """Numbers of tokens as a column. Raises SimulationError where one is beyond all reason."""
    try:
        return np.array(values, np.int64)
    except OverflowError:
        raise SimulationError(
            f"{name} has a request of {max(values):,} tokens, more than any model has; correct it"
        ) from None


def refuse_repeated(name: str, ids: Sequence[str]) -> None:
    """Raises SimulationError where an id, other than an empty one, occurs twice."""
    seen: dict[str, int] = {}
    for row, one in enumerate(ids, start=1):
        if one and seen.setdefault(one, row) != row:
            raise SimulationError(
                f"{name}, row {row}: id {one!r} is that of row {seen[one]}, too; were two files "
                f"joined? leave one of them out"
            )
