"""Histograms of durations: merged without loss."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from struct import iter_unpack

from hypothesis import given
from hypothesis import strategies as st

from headway.store.history.histogram import BLOCK_BYTES, bucket_of, merged


def counted(histogram: bytes) -> Counter[int]:
    """The counts of a histogram, in which a bucket may be several times."""
    found: Counter[int] = Counter()
    for bucket, count in iter_unpack("<HI", histogram):
        found[bucket] += count
    return found


@given(st.lists(st.lists(st.floats(0.0, 1e8), min_size=1, max_size=50), max_size=30))
def test_merging_counts_each_once_and_stays_short(parts: list[list[float]]) -> None:
    together = b""
    for part in parts:
        together = merged(together, Counter(map(bucket_of, part)))
    expected = Counter(map(bucket_of, chain(*parts)))
    assert counted(together) == expected
    assert len(together) < 6 * len(expected) + BLOCK_BYTES
