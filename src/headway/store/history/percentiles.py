"""Percentiles of many histograms at once, by numpy.

It is no part of `histogram`, so that only questions for percentiles wait for numpy to be imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from headway.store.history.histogram import BUCKETS, ENTRY, SHOWN_MS

_ENTRIES = np.dtype([("bucket", "<u2"), ("count", "<u4")])


class Histograms:
    """Many histograms, in rows: in each row they count as one.

    Args:
        places: row times BUCKETS plus bucket, of each count.
        counts: to be added up.
    """

    def __init__(self, places: npt.NDArray[np.int64], counts: npt.NDArray[Any]) -> None:
        sums = np.bincount(places, weights=counts)
        self._places = np.flatnonzero(sums)
        self._counts = sums[self._places]

    @classmethod
    def of(cls, histograms: Iterable[bytes], rows: npt.NDArray[np.int64]) -> Histograms:
        """These histograms, each in its row."""
        parts = list(histograms)
        entries = np.frombuffer(b"".join(parts), _ENTRIES)
        sizes = np.fromiter(map(len, parts), np.int64, len(parts)) // ENTRY.size
        return cls(np.repeat(rows * BUCKETS, sizes) + entries["bucket"], entries["count"])

    def together(self) -> Histograms:
        """All of them in row 0."""
        return Histograms(self._places % BUCKETS, self._counts)

    def without(self, others: Iterable[Histograms]) -> Histograms:
        """What is left where the counts of `others`, which are among these, are taken off."""
        others = list(others)
        return Histograms(
            np.concatenate([self._places, *(other._places for other in others)]),
            np.concatenate([self._counts, *(-other._counts for other in others)]),
        )

    def percentiles(self, rows: int, shares: Iterable[float]) -> list[list[float | None]]:
        """Percentiles of each row, in ms; None: the row is empty.

        Args:
            rows: how many there are.
            shares: such as 0.99; each has a list of its own.
        """
        if not len(self._places):
            return [[None] * rows for _ in shares]
        places = self._places
        upto = np.cumsum(self._counts)
        ends = np.searchsorted(places, np.arange(rows + 1) * BUCKETS)
        at_ends = np.concatenate([[0], upto])[ends]
        before, totals = at_ends[:-1], np.diff(at_ends)
        found: list[list[float | None]] = []
        for share in shares:
            ranks = before + np.maximum(np.ceil(share * totals - 1e-9), 1.0)
            at = np.minimum(np.searchsorted(upto, ranks), len(places) - 1)
            pairs = zip((places[at] % BUCKETS).tolist(), totals.tolist(), strict=True)
            found.append([SHOWN_MS[bucket] if total else None for bucket, total in pairs])
        return found
