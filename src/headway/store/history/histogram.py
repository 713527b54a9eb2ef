"""Durations counted in buckets that grow by a constant factor: merged without loss.

A percentile over any merged histograms is within 1% of that over the durations themselves
(nearest rank), or within 0.01 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, log
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

GROWTH = 1.02
LEAST_MS = 0.01
"""Bucket 0 holds everything up to it."""
MOST_MS = 1e9
"""The last bucket holds everything above: 11 days."""
ERROR = (GROWTH - 1.0) / (GROWTH + 1.0)
"""Largest relative error of a duration that is read from its bucket."""
BUCKETS = ceil(log(MOST_MS / LEAST_MS) / log(GROWTH)) + 1
_PER_LOG = 1.0 / log(GROWTH)
_OFFSET = -log(LEAST_MS) / log(GROWTH)
_ENTRY = Struct("<HI")
BLOCK_BYTES = 256 * _ENTRY.size
"""A histogram is made as short as it can be whenever it grows over a multiple of this."""
_ENTRIES = np.dtype([("bucket", "<u2"), ("count", "<u4")])
SHOWN_MS = [0.0] + [
    float(f"{LEAST_MS * GROWTH ** (bucket - 1) * (1.0 + ERROR):.4g}")
    for bucket in range(1, BUCKETS)
]
"""The duration that stands for each bucket."""


def bucket_of(duration_ms: float) -> int:
    """The bucket of a duration."""
    if duration_ms <= LEAST_MS:
        return 0
    return min(ceil(log(duration_ms) * _PER_LOG + _OFFSET), BUCKETS - 1)


def merged(histogram: bytes, counts: Mapping[int, int]) -> bytes:
    """`histogram`, which is empty at first, with counts by bucket added.

    They are only appended, as long as it stays small: a bucket may be in it several times.
    """
    added = _encoded(counts)
    if (len(histogram) + len(added)) // BLOCK_BYTES == len(histogram) // BLOCK_BYTES:
        return histogram + added
    both: dict[int, int] = {}
    for bucket, count in _ENTRY.iter_unpack(histogram + added):
        both[bucket] = both.get(bucket, 0) + count
    return _encoded(both)


def _encoded(counts: Mapping[int, int]) -> bytes:
    pack = _ENTRY.pack
    return b"".join([pack(*entry) for entry in counts.items()])


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
        sizes = np.fromiter(map(len, parts), np.int64, len(parts)) // _ENTRY.size
        return cls(np.repeat(rows * BUCKETS, sizes) + entries["bucket"], entries["count"])

    def between(self, first: int, behind: int) -> Histograms:
        """Some of the rows; the first becomes row 0."""
        low, high = np.searchsorted(self._places, (first * BUCKETS, behind * BUCKETS))
        return Histograms(self._places[low:high] - first * BUCKETS, self._counts[low:high])

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
