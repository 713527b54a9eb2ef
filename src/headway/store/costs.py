"""What requests cost, summed up from the request log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from math import fsum
from pathlib import Path
from sqlite3 import Connection
from typing import Any, NamedTuple

from headway.store.database import open_to_read

GROUPS = {
    "day": "date(arrival_unix_s, 'unixepoch')",
    "month": "strftime('%Y-%m', arrival_unix_s, 'unixepoch')",
    "model": "model",
    "backend": "backend",
    "tenant": "tenant",
    "key": "key",
    "tier": "tier",
    "run": "program",
    "batch": "batch",
}
"""What costs can be summed up by, and how the log has it. Days and months are in UTC."""

TOKENS = "coalesce(charged_tokens, coalesce(prompt_tokens, 0) + coalesce(output_tokens, 0))"
UNPRICED = f"(cost IS NULL AND outcome != 'rejected' AND {TOKENS} > 0)"
"""Something was used, and has no price. Rows from before costs were written are among these."""
SUMS = f"""
count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(cached_tokens), 0),
coalesce(sum(output_tokens), 0), sum(cost), coalesce(sum({UNPRICED}), 0)
"""


class Costs(NamedTuple):
    """Requests that are alike in what they are summed up by."""

    group: tuple[str, ...]
    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float | None
    """Of those that have a price; None: none of them has."""
    unpriced: int
    """Requests whose cost is not known; it is not in `cost`."""

    def sums(self) -> dict[str, Any]:
        """All but the group, by name."""
        sums = self._asdict()
        del sums["group"]
        return sums


class Unpriced(NamedTuple):
    """A model without a price."""

    model: str
    backend: str
    requests: int
    tokens: int


class Chosen(NamedTuple):
    """Which requests count, of those that were not refused."""

    since_s: float = 0.0
    """Seconds since 1970."""
    until_s: float = float("inf")
    tenant: str | None = None
    """Only those of this tenant; None: all."""
    key: str | None = None
    """Beside `tenant`: those that came with this key, too."""
    run: str | None = None
    """Only those of this run; None: all."""

    def where(self) -> tuple[str, list[object]]:
        """As a condition, and its values."""
        condition = "arrival_unix_s >= ? AND arrival_unix_s < ? AND outcome != 'rejected'"
        values: list[object] = [self.since_s, self.until_s]
        if self.run is not None:
            condition, values = f"{condition} AND program = ?", [*values, self.run]
        if self.tenant is None:
            return condition, values
        if self.key is None:
            return f"{condition} AND tenant = ?", [*values, self.tenant]
        return f"{condition} AND (tenant = ? OR key = ?)", [*values, self.tenant, self.key]


ALL = Chosen()


def costs(path: Path, by: Sequence[str], chosen: Chosen = ALL) -> list[Costs]:
    """Sums of the log, the dearest group first; by days or months, those in order.

    Args:
        path: the log; a gateway may be writing to it.
        by: names in GROUPS; empty: one sum of all.
        chosen: which requests count.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    where, values = chosen.where()
    groups = [GROUPS[name] for name in by]
    timed = [place for place, name in enumerate(by, 1) if name in ("day", "month")]
    dearest = (f"{len(by) + 5} DESC", f"{len(by) + 1} DESC")
    order = ", ".join([*map(str, timed), *dearest, *map(str, range(1, len(by) + 1))])
    grouped = f"GROUP BY {', '.join(groups)}" if groups else ""
    query = f"SELECT {', '.join([*groups, SUMS])} FROM requests WHERE {where} {grouped}"
    rows = _rows(path, f"{query} ORDER BY {order}", values)
    return [Costs(tuple(map(str, row[: len(by)])), *row[len(by) :]) for row in rows]


def total(groups: Iterable[Costs]) -> Costs:
    """The sum of groups that have no request in common."""
    found = list(groups)
    known = [one.cost for one in found if one.cost is not None]
    return Costs(
        (),
        sum(one.requests for one in found),
        sum(one.prompt_tokens for one in found),
        sum(one.cached_tokens for one in found),
        sum(one.output_tokens for one in found),
        fsum(known) if known else None,
        sum(one.unpriced for one in found),
    )


def unpriced(path: Path, chosen: Chosen = ALL) -> list[Unpriced]:
    """What has no price, that with the most requests first. Raises sqlite3.Error."""
    where, values = chosen.where()
    query = f"""
        SELECT model, backend, count(*), sum({TOKENS}) FROM requests
        WHERE {UNPRICED} AND {where} GROUP BY 1, 2 ORDER BY 3 DESC
    """
    return [Unpriced(*row) for row in _rows(path, query, values)]


class BatchCost(NamedTuple):
    """What the lines of a batch cost, up to a row of the log."""

    number: int = 0
    """Of the last row that is summed up."""
    cost: float | None = None
    """Of the lines that have a price; None: none of them has."""
    unpriced: int = 0
    answered: int = 0
    """Lines whose answer is in the log."""

    def later(self, database: Connection, batch: str) -> BatchCost:
        """The same with the rows that came since. Raises sqlite3.Error."""
        query = f"""
            SELECT max(number), sum(cost), coalesce(sum({UNPRICED}), 0), sum(outcome = 'finished')
            FROM requests WHERE batch != '' AND batch = ? AND number > ?
        """  # the index has no rows without a batch
        ((number, cost, unpriced, answered),) = database.execute(query, (batch, self.number))
        if number is None:
            return self
        if cost is not None:
            cost += self.cost or 0.0
        return BatchCost(
            number,
            self.cost if cost is None else cost,
            self.unpriced + unpriced,
            self.answered + answered,
        )


def later(path: Path, known: Mapping[str, BatchCost]) -> dict[str, BatchCost]:
    """Costs of batches, by their ids, with the rows that came since. Raises sqlite3.Error."""
    with closing(open_to_read(path)) as database:
        return {batch: cost.later(database, batch) for batch, cost in known.items()}


def groups_of(text: str) -> list[str]:
    """Names in GROUPS with commas between. Raises ValueError for others."""
    names = list(dict.fromkeys(name for one in text.split(",") if (name := one.strip())))
    for name in names:
        if name not in GROUPS:
            raise ValueError(f"{name[:40]!r} is not one of {', '.join(GROUPS)}")
    return names


def _rows(path: Path, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    with closing(open_to_read(path)) as database:
        return database.execute(query, values).fetchall()
