"""Texts to token ids."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.models.graphs import MOST_TOKENS, tokenizer
from tokenizers import Tokenizer, processors

from headway.models.signature import BadItem, Prompts, Signature
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


# ---- cut as the tokenizer itself cuts ------------------------------------------------------------


def shaped(kind: str) -> Tokenizer:
    """Tokenizers that write other tokens around a text than BERT's."""
    made = tokenizer()
    made.no_truncation()
    made.no_padding()
    special = [("[CLS]", 2), ("[SEP]", 3)]
    template = {
        "suffix": ("$A [SEP]", "$A [SEP] $B [SEP]"),
        "prefix": ("[CLS] $A", "[CLS] $A [CLS] $B"),
        "two in front": ("[CLS] [CLS] $A [SEP]", "[CLS] [CLS] $A [SEP] $B [SEP]"),
        "roberta": ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]"),
        "none": ("$A", "$A $B"),
    }.get(kind)
    if template is not None:
        made.post_processor = processors.TemplateProcessing(*template, special_tokens=special)
    return made


KINDS = ["bert", "suffix", "prefix", "two in front", "roberta", "none"]
LONG = "a cat is an animal a cat is an animal"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("most", [5, 6, 7])
async def test_texts_and_pairs_are_cut_as_the_tokenizer_itself_cuts(
    kind: str, side: Any, most: int
) -> None:
    itself = shaped(kind)
    itself.enable_truncation(most, direction=side)
    ours = tokens(most, shaped(kind), cut_at_start=side == "left")
    (text,) = await ours.of_texts([LONG], most)
    assert text.tolist() == itself.encode(LONG).ids
    for first, second in ((LONG, LONG), (LONG, "a"), ("a", LONG), ("a cat", "a"), ("a", "a cat")):
        (pair,) = await ours.of_pairs(first, [second], most)
        expected = itself.encode(first, second)
        assert pair.tolist() == [expected.ids, expected.type_ids]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_get_the_special_tokens_that_texts_get(kind: str) -> None:
    ours = tokens(None, shaped(kind))
    whole = shaped(kind).encode("a cat is").ids
    assert [ids.tolist() for ids in ours.of_ids([[4, 5, 6], whole], None)] == [whole, whole]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_ids_are_cut_as_texts_are(kind: str, side: Any) -> None:
    itself = shaped(kind)
    itself.enable_truncation(5, direction=side)
    ours = tokens(5, shaped(kind), cut_at_start=side == "left")
    bare = shaped("none").encode(LONG).ids
    (found,) = ours.of_ids([bare], 5)
    assert found.tolist() == itself.encode(LONG).ids


async def test_a_cut_without_room_for_a_text_is_refused() -> None:
    ours = tokens(8, shaped("roberta"))
    with pytest.raises(BadItem, match="3 tokens have no room for a text; the model writes 4"):
        await ours.of_pairs(LONG, ["a"], 3)
    with pytest.raises(BadItem, match="2 tokens have no room"):
        ours.of_ids([[4] * 9], 2)


async def test_types_of_a_single_text_are_kept_where_they_are_not_zero() -> None:
    made = tokenizer()
    made.post_processor = processors.TemplateProcessing(
        "[CLS]:2 $A:0 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    (found,) = await tokens(None, made).of_texts(["a cat"], None)
    assert found.tolist() == [[2, 4, 5, 3], [2, 0, 0, 1]]


async def test_prompts_are_written_before_texts() -> None:
    ours = tokens(None, prompts=Prompts({"q": "a ", "none": ""}, "q"))
    assert [ids.tolist() for ids in await ours.of_texts(["cat"], None)] == [[2, 4, 5, 3]]
    assert [ids.tolist() for ids in await ours.of_texts(["cat"], None, "is an ")] == [
        [2, 6, 7, 5, 3]
    ]
    assert [ids.tolist() for ids in await ours.of_texts(["cat"], None, "")] == [[2, 5, 3]]


async def test_a_long_text_that_loses_its_beginning_keeps_its_end() -> None:
    ours = tokens(MOST_TOKENS, cut_at_start=True)
    (found,) = await ours.of_texts(["cat " * 1000 + "is an animal"], MOST_TOKENS)
    assert found.tolist() == [2, 5, 5, 5, 6, 7, 8, 3]
