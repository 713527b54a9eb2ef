"""Texts to token ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.models.signature import BadItem

INLINE_CHARACTERS = 20_000
"""Texts of at most this total length are tokenized in the event loop: a few milliseconds."""
TOKEN_CHARACTERS = 24
"""Characters for each token that the model takes, to which a text is first cut: if that part is
already too long, the rest is not tokenized."""


class Tokens:
    """One model's tokenizer.

    Args:
        tokenizer: the tokenizer's JSON.
        most: tokens of the longest text that the model takes; None: no limit.
    """

    def __init__(self, tokenizer: str, most: int | None) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._added = self._tokenizer.num_special_tokens_to_add(False)
        self._most = most

    async def of_texts(self, texts: Sequence[str], truncated: int | None) -> list[np.ndarray]:
        """Token ids of each text: arrays (tokens,) of int32.

        Args:
            texts: any texts.
            truncated: tokens to cut each text to; None: a text that is too long is an error.

        Raises:
            BadItem: a text is longer than the model takes.
        """
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            return self._of_texts(texts, truncated)
        return await asyncio.to_thread(self._of_texts, texts, truncated)

    async def of_pairs(
        self, first: str, others: Sequence[str], truncated: int | None
    ) -> list[np.ndarray]:
        """Token ids of the pairs of `first` with each of `others`.

        Returns:
            Arrays (2, tokens) of int32: token ids and token types (0 or 1 in the pair).

        Raises:
            BadItem: a pair is longer than the model takes.
        """
        return await asyncio.to_thread(self._of_pairs, first, others, truncated)

    def of_ids(self, texts: Sequence[Sequence[int]], truncated: int | None) -> list[np.ndarray]:
        """Token ids that the client made itself, with special tokens added where they are missing.

        Args:
            texts: token ids of each text, at least one.
            truncated: tokens to cut each text to; None: a text that is too long is an error.

        Raises:
            BadItem: there are too many ids, or ids that this model does not have.
        """
        vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)
        empty = self._tokenizer.encode("").ids
        found = []
        for place, ids in enumerate(texts):
            if min(ids) < 0 or max(ids) >= vocabulary:
                raise BadItem(
                    f"text {place} has a token that is none: ids are 0 to {vocabulary - 1}"
                )
            if self._added == 2 and ids[0] != empty[0]:
                ids = [*empty[:1], *ids, *empty[1:]]
            found.append(self._fitted(place, np.array(ids, np.int32), truncated))
        return found

    def _of_texts(self, texts: Sequence[str], truncated: int | None) -> list[np.ndarray]:
        encoded = self._tokenizer.encode_batch_fast([self._cut_roughly(text) for text in texts])
        return [
            self._fitted(place, np.array(encoding.ids, np.int32), truncated)
            for place, encoding in enumerate(encoded)
        ]

    def _of_pairs(
        self, first: str, others: Sequence[str], truncated: int | None
    ) -> list[np.ndarray]:
        first = self._cut_roughly(first)
        encoded = self._tokenizer.encode_batch([(first, self._cut_roughly(o)) for o in others])
        found = []
        for place, encoding in enumerate(encoded):
            both = np.array([encoding.ids, encoding.type_ids], np.int32)
            found.append(self._fitted(place, both, truncated))
        return found

    def _fitted(self, place: int, ids: np.ndarray, truncated: int | None) -> np.ndarray:
        """`ids`, (…, tokens), cut to `truncated`. Raises BadItem if they are too many."""
        tokens = ids.shape[-1]
        if truncated is not None and tokens > truncated:
            # Cut the text, but keep the special tokens around it.
            after = self._added // 2
            parts = (ids[..., : truncated - after], ids[..., tokens - after :])
            return np.concatenate(parts, axis=-1)
        if self._most is not None and tokens > self._most:
            raise self._too_long(place, tokens)
        return ids

    def _cut_roughly(self, text: str) -> str:
        # A tokenizer does not take lone surrogates, which JSON may hold.
        text = text.encode("utf-8", "replace").decode()
        if self._most is None or len(text) <= TOKEN_CHARACTERS * self._most:
            return text
        beginning = text[: TOKEN_CHARACTERS * self._most]
        enough = len(self._tokenizer.encode(beginning)) > self._most
        return beginning if enough else text

    def _too_long(self, place: int, tokens: int) -> BadItem:
        return BadItem(
            f"text {place} has at least {tokens} tokens, and this model takes {self._most}; "
            "shorten it, or where texts are embedded, ranked or classified send "
            "truncate_prompt_tokens: -1"
        )
