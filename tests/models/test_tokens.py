"""Texts to token ids."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.models.graphs import MOST_TOKENS, tokenizer
from tokenizers import Tokenizer

from headway.models.signature import BadItem, Signature
from headway.models.tokens import Tokens


def tokens(most: int | None = MOST_TOKENS, of: Tokenizer | None = None, **said: Any) -> Tokens:
    made = (of or tokenizer()).to_str()
    return Tokens(Signature("embed", "test", tokenizer=made, max_tokens=most, **said))


async def test_texts_get_their_ids_and_no_padding() -> None:
    found = await tokens().of_texts(["a cat", "a cat is an animal", "zebra"], None)
    assert [ids.tolist() for ids in found] == [[2, 4, 5, 3], [2, 4, 5, 6, 7, 8, 3], [2, 1, 3]]


async def test_a_text_that_is_too_long_is_an_error_that_names_it() -> None:
    with pytest.raises(BadItem, match=r"text 1 has at least 9 tokens, and this model takes 8"):
        await tokens().of_texts(["a", "a a a a a a a"], None)


async def test_texts_are_cut_where_that_is_asked_and_keep_the_tokens_around_them() -> None:
    cut = await tokens().of_texts(["a cat is an animal", "a"], 4)
    assert [ids.tolist() for ids in cut] == [[2, 4, 5, 3], [2, 4, 3]]


async def test_pairs_tell_which_text_each_token_is_of() -> None:
    (pair,) = await tokens().of_pairs("a cat", ["is"], None)
    assert pair.tolist() == [[2, 4, 5, 3, 6, 3], [0, 0, 0, 0, 1, 1]]
    with pytest.raises(BadItem, match="text 0"):
        await tokens().of_pairs("a cat is an animal", ["a cat"], None)
    (cut,) = await tokens().of_pairs("a cat is an animal", ["a cat"], 8)
    assert cut.tolist() == [[2, 4, 5, 6, 3, 4, 5, 3], [0, 0, 0, 0, 0, 1, 1, 1]]


def test_ids_of_the_client_get_the_tokens_around_them_that_are_missing() -> None:
    bare, whole, cut = tokens().of_ids([[4, 5], [2, 4, 5, 3]], None) + tokens().of_ids([[4] * 9], 4)
    assert bare.tolist() == whole.tolist() == [2, 4, 5, 3]
    assert cut.tolist() == [2, 4, 4, 3]


@pytest.mark.parametrize("ids", [[9], [-1], [2**70]])
def test_ids_that_are_no_tokens_are_an_error(ids: list[int]) -> None:
    with pytest.raises(BadItem, match="text 1 has a token that is none: ids are 0 to 8"):
        tokens().of_ids([[4], ids], None)


def test_too_many_ids_are_an_error() -> None:
    with pytest.raises(BadItem, match="at least 9 tokens"):
        tokens().of_ids([[4] * 7], None)


async def test_lone_surrogates_are_no_text_and_do_no_harm() -> None:
    (found,) = await tokens().of_texts(["\ud800"], None)
    assert found.tolist() == [2, 1, 3]


async def test_ten_megabytes_are_refused_without_reading_them() -> None:
    began_s = time.perf_counter()
    with pytest.raises(BadItem, match="tokens"):
        await tokens().of_texts(["cat " * 2_500_000], None)
    assert time.perf_counter() - began_s < 1.0


async def test_a_long_text_of_few_tokens_is_read_to_its_end() -> None:
    (found,) = await tokens().of_texts([" " * 10_000 + "cat"], None)
    assert found.tolist() == [2, 5, 3]
