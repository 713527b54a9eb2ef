"""Durations counted in buckets that grow by a constant factor: merged without loss.

A percentile over any merged histograms is within 1% of that over the durations themselves
(nearest rank), or within 0.01 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, log
from struct import Struct

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
_ENTRIES = np.dtype([("bucket", "<u2"), ("count", "<u4")])
VALUES_MS = LEAST_MS * GROWTH ** (np.arange(BUCKETS) - 1) * (1.0 + ERROR)
"""The duration that stands for each bucket."""
VALUES_MS[0] = 0.0


def bucket_of(duration_ms: float) -> int:
    """The bucket of a duration."""
    if duration_ms <= LEAST_MS:
        return 0
    return min(ceil(log(duration_ms) * _PER_LOG + _OFFSET), BUCKETS - 1)


def merged(histogram: bytes, counts: Mapping[int, int]) -> bytes:
    """`histogram`, which is empty at first, with counts by bucket added."""
    if histogram:
        both = dict(_ENTRY.iter_unpack(histogram))
        for bucket, count in counts.items():
            both[bucket] = both.get(bucket, 0) + count
        counts = both
    pack = _ENTRY.pack
    return b"".join([pack(*entry) for entry in counts.items()])


def matrix(histograms: Iterable[bytes], rows: Iterable[int], count: int) -> npt.NDArray[np.float64]:
    """Sums of histograms, one row of buckets each.

    Args:
        histograms: encoded.
        rows: to which row each of them is added.
        count: of rows.
    """
    parts = list(histograms)
    entries = np.frombuffer(b"".join(parts), _ENTRIES)
    sizes = np.fromiter(map(len, parts), np.int64, len(parts)) // _ENTRY.size
    row_of = np.repeat(np.fromiter(rows, np.int64, len(parts)), sizes)
    places = row_of * BUCKETS + entries["bucket"]
    sums = np.zeros(count * BUCKETS)
    sums += np.bincount(places, weights=entries["count"], minlength=count * BUCKETS)
    return sums.reshape(count, BUCKETS)


def percentile(sums: npt.NDArray[np.float64], share: float) -> list[float | None]:
    """The percentile of each row of `matrix`, in ms; None: the row is empty.

    Args:
        sums: from `matrix`.
        share: such as 0.99.
    """
    upto = np.cumsum(sums, axis=1)
    totals = upto[:, -1]
    ranks = np.maximum(np.ceil(share * totals - 1e-9), 1.0)
    buckets = (upto < ranks[:, None]).sum(axis=1)
    return [
        float(f"{VALUES_MS[bucket]:.4g}") if total else None
        for bucket, total in zip(buckets, totals, strict=True)
    ]
