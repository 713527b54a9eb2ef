"""Hashed words and pairs of words."""

from zlib import crc32

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.texts.buckets import BUCKETS, Buckets

TEXTS = st.lists(st.lists(st.integers(0, BUCKETS - 1)), min_size=1)


def hashed(*texts: str) -> list[list[int]]:
    words = [text.split() for text in texts]
    hashes = [crc32(word.encode()) for text in words for word in text]
    row = np.repeat(np.arange(len(texts)), [len(text) for text in words])
    return Buckets.hashed(len(texts), row, np.array(hashes, np.uint64)).lists()


def test_a_text_has_a_bucket_for_every_word_and_pair_of_neighbours() -> None:
    assert [len(text) for text in hashed("dog bites man", "", "dog")] == [5, 0, 1]


def test_pairs_depend_on_the_order_of_words() -> None:
    one, other = hashed("dog bites man", "man bites dog")
    words = {bucket for word in ("dog", "bites", "man") for bucket in hashed(word)[0]}
    assert words < set(one)
    assert set(one) & set(other) == words


@given(TEXTS)
def test_lists_are_sorted(texts: list[list[int]]) -> None:
    assert Buckets.of(texts).lists() == [sorted(text) for text in texts]


@given(TEXTS, TEXTS)
def test_texts_are_joined_and_chosen(texts: list[list[int]], others: list[list[int]]) -> None:
    joined = Buckets.joined([Buckets.of(texts), Buckets.of(others)])
    assert joined.lists() == Buckets.of(texts + others).lists()
    chosen = joined.rows(np.arange(len(texts), len(texts) + len(others)))
    assert chosen.lists() == Buckets.of(others).lists()
    assert np.array_equal(chosen.weight, Buckets.of(others).weight)
