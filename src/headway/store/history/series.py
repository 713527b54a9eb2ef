"""Figures over time: from the rollups, so that their cost does not grow with the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from math import ceil
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from headway.store.history.filters import Filters
from headway.store.history.percentiles import Histograms
from headway.store.history.rollups import DAY_S, HOUR_S, LEVELS, MEASURES, MINUTE_S, MINUTES_KEPT_S

By = Literal["tenant", "model", "tier", "outcome"]
MOST_POINTS = 180
MOST_LINES = 8
"""The largest ones; the others are one line together."""
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SUMS = ("requests", "prompt_tokens", "output_tokens", "cost")
JOINED = (
    "rollup_groups CROSS JOIN rollups ON group_id = id AND level = ? AND began >= ? AND began < ?"
)
"""In this order, by its index: of each group the cells of the time."""
STEPS = ((2, MINUTE_S), (8, 5 * MINUTE_S), (26, 15 * MINUTE_S), (178, HOUR_S))
"""Hours that are shown at most by each step; longer stretches are shown by days."""


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
    percentiles_ms: Percentiles
    """Of the measure that was asked for."""
    whole: Figures
    """Over the whole stretch of time."""


class Figures(msgspec.Struct, kw_only=True):
    """What sums and percentiles come to."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    cost: float
    percentiles_ms: dict[str, float | None]


class Series(msgspec.Struct, kw_only=True):
    """Figures over time, of requests by the time of their arrival."""

    measure: str
    """`total_ms`: latency; `ttft_ms`: time to first token; `queue_ms`: wait."""
    step_s: int
    times: list[int]
    """When each step begins, in Unix time; days are those of UTC."""
    lines: list[Line]


def step_of(since_s: float, until_s: float, now_s: float) -> int:
    """The step by which a stretch of time is shown: some minutes, hours or days."""
    length_s = until_s - since_s
    for hours, step_s in STEPS:
        has_minutes = since_s >= now_s - MINUTES_KEPT_S + HOUR_S
        if length_s <= hours * HOUR_S and (step_s >= HOUR_S or has_minutes):
            return step_s
    return ceil(length_s / DAY_S / MOST_POINTS) * DAY_S


def series(
    database: sqlite3.Connection, filters: Filters, by: By | None, step_s: int, measure: str
) -> Series:
    """Figures of the requests that `filters` names, from `since_s` to `until_s` of it.

    Args:
        database: the log.
        filters: `since_s` and `until_s` are given; tenant, model, tier and outcome may be.
        by: what has a line of its own; None: one line for all.
        step_s: from `step_of`.
        measure: one of MEASURES, of which there are percentiles.
    """
    assert filters.since_s is not None and filters.until_s is not None
    level = max(level for level in LEVELS if level <= step_s)
    first = int(filters.since_s // step_s) * step_s
    times = list(range(first, ceil(filters.until_s), step_s)) or [first]
    bounds = (level, times[0], times[-1] + step_s)
    if measure not in MEASURES:
        raise ValueError(f"there is no measure {measure!r}")
    cells = _Cells(database, filters, bounds, len(times), step_s, measure)
    if by is None:
        (all_of_it,) = cells.read([None])
        lines = [all_of_it.line(None)]
        return Series(measure=measure, step_s=step_s, times=times, lines=lines)
    names = cells.largest(by)
    shown = names[:MOST_LINES]
    found = cells.read(shown, by)
    lines = [one.line(name) for name, one in zip(shown, found, strict=True)]
    if len(names) > MOST_LINES:
        (rest,) = cells.read([None])
        lines.append(rest.without(found).line(None))
    return Series(measure=measure, step_s=step_s, times=times, lines=lines)


class _Read(NamedTuple):
    """Sums and histograms of one line, in a row each step."""

    sums: npt.NDArray[np.float64]
    histograms: Histograms

    def without(self, others: Sequence[_Read]) -> _Read:
        """What is left without `others`."""
        sums = self.sums - np.sum([other.sums for other in others], axis=0)
        return _Read(sums, self.histograms.without(other.histograms for other in others))

    def line(self, name: str | None) -> Line:
        """The figures as they are shown."""
        requests, prompt_tokens, output_tokens, cost = self.sums.T.tolist()
        whole = [round(value, 6) for value in self.sums.sum(axis=0).tolist()]
        shares = SHARES.values()
        each = self.histograms.percentiles(len(requests), shares)
        of_all = self.histograms.together().percentiles(1, shares)
        return Line(
            name=name,
            requests=[round(value) for value in requests],
            prompt_tokens=[round(value) for value in prompt_tokens],
            output_tokens=[round(value) for value in output_tokens],
            cost=[round(value, 6) for value in cost],
            percentiles_ms=Percentiles(**dict(zip(SHARES, each, strict=True))),
            whole=Figures(
                requests=round(whole[0]),
                prompt_tokens=round(whole[1]),
                output_tokens=round(whole[2]),
                cost=whole[3],
                percentiles_ms={
                    label: values[0] for label, values in zip(SHARES, of_all, strict=True)
                },
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
        measure: str,
    ) -> None:
        self._database = database
        self._filters = filters
        self._bounds = bounds
        self._steps = steps
        self._step_s = step_s
        self._measure = measure

    def largest(self, by: By) -> list[str]:
        """Names of the groups, those with the most requests first; one more than have a line."""
        condition, values = self._filters.of_groups(by)
        query = (
            f"SELECT {by}, sum(requests) AS requests FROM {JOINED} WHERE {condition} "
            f"GROUP BY {by} ORDER BY requests DESC, {by} LIMIT ?"
        )
        found = self._database.execute(query, (*self._bounds, *values, MOST_LINES + 1))
        return [name for name, _ in found]

    def read(self, names: Sequence[str | None], by: By | None = None) -> list[_Read]:
        """The lines of these groups of a dimension; without one, a single line of all."""
        condition, values = self._filters.of_groups(by)
        line = "NULL"
        if by is not None:
            marks = ", ".join("?" * len(names))
            condition = f"{condition} AND {by} IN ({marks})"
            values = [*values, *names]
            line = by
        query = (
            f"SELECT (began - ?) / ?, {line}, {', '.join(SUMS)}, {self._measure} "
            f"FROM {JOINED} WHERE {condition}"
        )
        steps = (self._bounds[1], self._step_s)
        lines: dict[str | None, list[tuple[Any, ...]]] = {name: [] for name in names}
        for row in self._database.execute(query, (*steps, *self._bounds, *values)):
            lines[row[1]].append(row)
        return [self._line(lines[name]) for name in names]

    def _line(self, rows: Sequence[tuple[Any, ...]]) -> _Read:
        """One line: each by itself, as numpy lets nobody else run while it counts."""
        columns = list(zip(*rows, strict=True)) or [()] * (3 + len(SUMS))
        places = np.array(columns[0], np.int64)
        sums: npt.NDArray[np.float64] = np.stack(
            [
                np.bincount(places, weights=np.array(column, np.float64), minlength=self._steps)
                for column in columns[2 : 2 + len(SUMS)]
            ],
            axis=1,
        )
        return _Read(sums, Histograms.of(columns[-1], places))
