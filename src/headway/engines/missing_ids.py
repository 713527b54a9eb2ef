"""Recovers token ids that a stream omitted, from their text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from headway.engines.engine import Generation, Piece
from headway.engines.request_body import is_greedy

Tokenize = Callable[[str], Awaitable[list[int]]]
"""The token ids of a text, without special tokens."""


async def produced_ids(generation: Generation, tokenize: Tokenize) -> list[int]:
    """All output token ids of `generation` so far.

    A greedy generation is rewound to the start of the first piece whose ids are uncertain; a
    sampled one may continue from any ids with the same text.
    """
    ids: list[int] = []
    for index, piece in enumerate(generation.pieces):
        if len(piece.ids) < piece.tokens:
            found = await _certain_ids(piece, tokenize)
            if found is None and is_greedy(generation.body):
                generation.rewind(index)
                break
            piece.ids = found or await tokenize(piece.text)
            piece.tokens = len(piece.ids)
        ids += piece.ids
    return ids


async def _certain_ids(piece: Piece, tokenize: Tokenize) -> list[int] | None:
    ids = await tokenize(piece.text)
    if _fits(ids, piece):
        return ids
    # Some tokenizers add a space before a text; after a newline they do not.
    before = await tokenize("\n")
    ids = await tokenize("\n" + piece.text)
    if ids[: len(before)] == before and _fits(ids[len(before) :], piece):
        return ids[len(before) :]
    return None


def _fits(ids: list[int], piece: Piece) -> bool:
    """Whether `ids` are as many as the piece has tokens and contain its known ids in order."""
    if len(ids) != piece.tokens or ids[-1:] != piece.ids[-1:]:
        return False
    rest = iter(ids)
    return all(known in rest for known in piece.ids)
