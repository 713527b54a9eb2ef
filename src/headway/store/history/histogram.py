"""Durations counted in buckets that grow by a constant factor: merged without loss.

A percentile over any merged histograms is within 1% of that over the durations themselves
(nearest rank), or within 0.01 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log
from struct import Struct

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
ENTRY = Struct("<HI")
"""A bucket and its count."""
BLOCK_BYTES = 256 * ENTRY.size
"""A histogram is made as short as it can be whenever it grows over a multiple of this."""
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
    for bucket, count in ENTRY.iter_unpack(histogram + added):
        both[bucket] = both.get(bucket, 0) + count
    return _encoded(both)


def _encoded(counts: Mapping[int, int]) -> bytes:
    pack = ENTRY.pack
    return b"".join([pack(*entry) for entry in counts.items()])
