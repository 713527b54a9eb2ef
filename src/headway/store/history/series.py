"""Figures over time: from the rollups, so that their cost does not grow with the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from math import ceil
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from headway.store.history.filters import Filters
from headway.store.history.histogram import matrix, percentile
from headway.store.history.rollups import DAY_S, HOUR_S, MEASURES, MINUTE_S, MINUTES_KEPT_S

By = Literal["tenant", "model", "tier", "outcome"]
MOST_POINTS = 400
MOST_LINES = 8
"""The largest ones; the others are one line together."""
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SUMS = ("requests", "prompt_tokens", "output_tokens", "cost")
MINUTES_UP_TO_S, HOURS_UP_TO_S = 6 * HOUR_S, 16 * DAY_S
"""Longer stretches are shown by the next coarser step."""


class Percentiles(msgspec.Struct, kw_only=True):
    """Of durations in ms, at each time; None: nothing was measured."""

    p50: list[float | None]
    p90: list[float | None]
    p95: list[float | None]
    p99: list[float | None]


class Line(msgspec.Struct, kw_only=True):
    """The figures of one group, at each time."""

    name: str | None
    """None: of all others, or of all."""
    requests: list[int]
    prompt_tokens: list[int]
    output_tokens: list[int]
    cost: list[float]
    """Of the requests whose models have a price."""
    total_ms: Percentiles
    ttft_ms: Percentiles
    queue_ms: Percentiles
    whole: Figures
    """Over the whole stretch of time."""


class Figures(msgspec.Struct, kw_only=True):
    """What sums and percentiles come to."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    cost: float
    total_ms: dict[str, float | None]
    ttft_ms: dict[str, float | None]
    queue_ms: dict[str, float | None]


class Series(msgspec.Struct, kw_only=True):
    """Figures over time, of requests by the time of their arrival."""

    step_s: int
    times: list[int]
    """When each step begins, in Unix time; days are those of UTC."""
    lines: list[Line]


class TooLong(ValueError):
    """The stretch of time would have too many steps."""


def step_of(since_s: float, until_s: float, now_s: float) -> int:
    """The step by which a stretch of time is shown: a minute, an hour or a number of days."""
    length_s = until_s - since_s
    if length_s <= MINUTES_UP_TO_S and since_s >= now_s - MINUTES_KEPT_S + HOUR_S:
        return MINUTE_S
    if length_s <= HOURS_UP_TO_S:
        return HOUR_S
    return ceil(length_s / DAY_S / MOST_POINTS) * DAY_S


def series(database: sqlite3.Connection, filters: Filters, by: By | None, step_s: int) -> Series:
    """Figures of the requests that `filters` names, from `since_s` to `until_s` of it.

    Args:
        database: the log.
        filters: `since_s` and `until_s` are given; tenant, model, tier and outcome may be.
        by: what has a line of its own; None: one line for all.
        step_s: from `step_of`.
    """
    assert filters.since_s is not None and filters.until_s is not None
    level = min(step_s, DAY_S)
    first = int(filters.since_s // step_s) * step_s
    times = list(range(first, ceil(filters.until_s), step_s)) or [first]
    if len(times) > MOST_POINTS + 2:
        raise TooLong("the stretch of time has too many steps")
    bounds = (level, times[0], times[-1] + step_s)
    cells = _Cells(database, filters, bounds, len(times), step_s)
    if by is None:
        return Series(step_s=step_s, times=times, lines=[cells.read("").line(None)])
    names = cells.largest(by)
    found = {name: cells.read(f" AND {by} = ?", (name,), by) for name in names[:MOST_LINES]}
    lines = [one.line(name) for name, one in found.items()]
    if len(names) > MOST_LINES:
        rest = cells.read("")
        for one in found.values():
            rest.sums -= one.sums
            rest.histograms -= one.histograms
        lines.append(rest.line(None))
    return Series(step_s=step_s, times=times, lines=lines)


class _Read:
    """Sums and histograms of one line, a row each step."""

    def __init__(self, sums: npt.NDArray[np.float64], histograms: npt.NDArray[np.float64]) -> None:
        self.sums = sums
        self.histograms = histograms

    def line(self, name: str | None) -> Line:
        requests, prompt_tokens, output_tokens, cost = self.sums.T.tolist()
        whole = [round(value, 6) for value in self.sums.sum(axis=0).tolist()]
        per_step = [
            {label: percentile(one, share) for label, share in SHARES.items()}
            for one in self.histograms
        ]
        of_all = [
            {label: percentile(one.sum(axis=0)[None], share)[0] for label, share in SHARES.items()}
            for one in self.histograms
        ]
        return Line(
            name=name,
            requests=[round(value) for value in requests],
            prompt_tokens=[round(value) for value in prompt_tokens],
            output_tokens=[round(value) for value in output_tokens],
            cost=[round(value, 6) for value in cost],
            **{name: Percentiles(**one) for name, one in zip(MEASURES, per_step, strict=True)},
            whole=Figures(
                requests=round(whole[0]),
                prompt_tokens=round(whole[1]),
                output_tokens=round(whole[2]),
                cost=whole[3],
                **dict(zip(MEASURES, of_all, strict=True)),
            ),
        )


class _Cells:
    """The rollups of a stretch of time."""

    def __init__(
        self,
        database: sqlite3.Connection,
        filters: Filters,
        bounds: Sequence[int],
        steps: int,
        step_s: int,
    ) -> None:
        self._database = database
        self._filters = filters
        self._bounds = bounds
        self._steps = steps
        self._step_s = step_s

    def largest(self, by: By) -> list[str]:
        """Names of the groups, those with the most requests first; one more than have a line."""
        condition, values = self._of_groups(by)
        query = (
            f"SELECT {by}, sum(requests) AS requests FROM rollups "
            "JOIN rollup_groups ON id = group_id "
            f"WHERE level = ? AND began >= ? AND began < ? AND {condition} "
            f"GROUP BY {by} ORDER BY requests DESC, {by} LIMIT ?"
        )
        found = self._database.execute(query, (*self._bounds, *values, MOST_LINES + 1))
        return [name for name, _ in found]

    def read(self, more: str, more_values: Sequence[str] = (), by: By | None = None) -> _Read:
        """The line of the groups that `more` narrows down to."""
        condition, values = self._of_groups(by)
        query = (
            f"SELECT (began - ?) / ?, {', '.join(SUMS)}, {', '.join(MEASURES)} FROM rollups "
            "WHERE level = ? AND began >= ? AND began < ? AND group_id IN "
            f"(SELECT id FROM rollup_groups WHERE {condition}{more})"
        )
        steps = (self._bounds[1], self._step_s)
        rows = self._database.execute(query, (*steps, *self._bounds, *values, *more_values))
        columns = list(zip(*rows, strict=True)) or [()] * (1 + len(SUMS) + len(MEASURES))
        at = np.array(columns[0], np.int64)
        sums = [
            np.bincount(at, weights=np.array(column, np.float64), minlength=self._steps)
            for column in columns[1 : 1 + len(SUMS)]
        ]
        histograms = [matrix(column, columns[0], self._steps) for column in columns[-3:]]
        return _Read(np.stack(sums, axis=1), np.stack(histograms))

    def _of_groups(self, by: By | None) -> tuple[str, list[str]]:
        condition, values = self._filters.of_groups()
        if by == "tenant" and "tenant" not in self._filters.names:
            condition = condition.replace("tenant IS NULL", "tenant IS NOT NULL")
        return condition, values
