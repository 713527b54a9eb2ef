"""Texts to token ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.models.signature import BadItem

AT_ONCE_CHARACTERS = 20_000
"""Texts up to so long together are tokenized in the event loop: a few milliseconds."""
TOKEN_CHARACTERS = 24
"""A text is first cut to so many characters for each token that the model takes: where that alone
is too long, the rest need not be read."""


class Tokens:
    """One model's tokenizer.

    Args:
        tokenizer: its JSON.
        most: tokens of the longest text that the model takes; None: any.
    """

    def __init__(self, tokenizer: str, most: int | None) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._added = self._tokenizer.num_special_tokens_to_add(False)
        self._most = most

    async def of_texts(self, texts: Sequence[str], truncated: int | None) -> list[np.ndarray]:
        """Ids of each text, (tokens,) of int32.

        Args:
            texts: any.
            truncated: tokens to cut each to; None: longer ones are an error.

        Raises:
            BadItem: a text is longer than the model takes.
        """
        if sum(map(len, texts)) <= AT_ONCE_CHARACTERS:
            return self._of_texts(texts, truncated)
        return await asyncio.to_thread(self._of_texts, texts, truncated)

    async def of_pairs(
        self, first: str, others: Sequence[str], truncated: int | None
    ) -> list[np.ndarray]:
        """Ids of `first` with each of `others`, and which of the two each token is of.

        Returns:
            Arrays (2, tokens) of int32.

        Raises:
            BadItem: a pair is longer than the model takes.
        """
        return await asyncio.to_thread(self._of_pairs, first, others, truncated)

    def ids(self, ids: Sequence[int]) -> np.ndarray:
        """Ids that the client made itself, special tokens put around them where they are missing.

        Raises:
            BadItem: they are too many, or no tokens of this model.
        """
        vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)
        if min(ids) < 0 or max(ids) >= vocabulary:
            raise BadItem(f"token ids of this model are 0 to {vocabulary - 1}")
        empty = self._tokenizer.encode("").ids
        before, after = empty[:1], empty[1:]
        given = list(ids)
        if self._added == 2 and given[:1] != before:
            given = [*before, *given, *after]
        if self._most is not None and len(given) > self._most:
            raise self._too_long(0, len(given))
        return np.array(given, np.int32)

    def _of_texts(self, texts: Sequence[str], truncated: int | None) -> list[np.ndarray]:
        encoded = self._tokenizer.encode_batch_fast([self._shortened(text) for text in texts])
        found = []
        for place, encoding in enumerate(encoded):
            if self._most is not None and len(encoding) > self._most and truncated is None:
                raise self._too_long(place, len(encoding))
            if truncated is not None and len(encoding) > truncated:
                # What is cut is the text: the tokens around it stay.
                kept = np.array(encoding.ids, np.int32)
                after = self._added // 2
                found.append(np.concatenate([kept[: truncated - after], kept[len(kept) - after :]]))
            else:
                found.append(np.array(encoding.ids, np.int32))
        return found

    def _of_pairs(
        self, first: str, others: Sequence[str], truncated: int | None
    ) -> list[np.ndarray]:
        first = self._shortened(first)
        encoded = self._tokenizer.encode_batch([(first, self._shortened(o)) for o in others])
        found = []
        for place, encoding in enumerate(encoded):
            both = np.array([encoding.ids, encoding.type_ids], np.int32)
            if self._most is not None and both.shape[1] > self._most and truncated is None:
                raise self._too_long(place, both.shape[1])
            if truncated is not None and both.shape[1] > truncated:
                both = np.concatenate([both[:, : truncated - 1], both[:, -1:]], axis=1)
            found.append(both)
        return found

    def _shortened(self, text: str) -> str:
        # Lone surrogates, as JSON may hold, are no text to a tokenizer.
        text = text.encode("utf-8", "replace").decode()
        if self._most is None or len(text) <= TOKEN_CHARACTERS * self._most:
            return text
        beginning = text[: TOKEN_CHARACTERS * self._most]
        enough = len(self._tokenizer.encode(beginning)) > self._most
        return beginning if enough else text

    def _too_long(self, place: int, tokens: int) -> BadItem:
        return BadItem(
            f"text {place} has at least {tokens} tokens, and this model takes {self._most}; "
            "shorten it, or send truncate_prompt_tokens: -1"
        )
