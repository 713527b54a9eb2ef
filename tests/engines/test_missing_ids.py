"""Ids that a stream left out: found, or generated again."""

from __future__ import annotations

import pytest
from tests.engines.generations import chat

from headway.engines.engine import EngineError, Generation, Piece
from headway.engines.missing_ids import produced_ids


async def bytes_of(text: str) -> list[int]:
    """A tokenizer with one token for each byte."""
    return list(text.encode())


async def spaced(text: str) -> list[int]:
    """One that puts a space before every text."""
    return list((" " + text).encode())


def with_pieces(temperature: float) -> Generation:
    request = chat("x", temperature=temperature)
    request.accept(Piece("a", [97], 1))
    request.accept(Piece("é", [0xA9], 2))
    request.accept(Piece("b", [98], 1))
    return request


@pytest.mark.parametrize("tokenize", [bytes_of, spaced])
async def test_they_are_found_from_the_text(tokenize: object) -> None:
    request = with_pieces(0)
    assert await produced_ids(request, tokenize) == [97, 0xC3, 0xA9, 98]  # type: ignore[arg-type]
    assert request.already_sent == "" and request.output_tokens == 4


async def test_a_greedy_answer_goes_back_to_before_the_piece_that_is_not_certain() -> None:
    request = with_pieces(0)
    request.pieces[1].ids = [7]
    assert await produced_ids(request, bytes_of) == [97]
    assert request.already_sent == "éb" and request.output_tokens == 1
    assert request.accept(Piece("é", [0xA9], 2)) == ""
    assert request.accept(Piece("bcd", [98, 99, 100], 3)) == "cd"
    assert request.accept(Piece("e", [101], 1)) == "e"
    assert request.output_tokens == 7


async def test_a_sampled_answer_goes_on_from_any_ids_of_its_text() -> None:
    request = with_pieces(0.7)
    request.pieces[1].ids = [7]
    assert await produced_ids(request, bytes_of) == [97, 0xC3, 0xA9, 98]


async def test_text_that_comes_out_differently_is_an_error_and_no_wrong_answer() -> None:
    request = with_pieces(0)
    request.rewind(1)
    with pytest.raises(EngineError, match="send it again"):
        request.accept(Piece("z", [122], 1))
