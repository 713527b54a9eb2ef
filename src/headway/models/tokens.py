"""Texts to token ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from headway.extras import install_extra
from headway.models.signature import BadItem, ModelFailure, Signature

INLINE_CHARACTERS = 20_000
"""Texts of at most this total length are tokenized in the event loop: a few milliseconds."""
TOKEN_CHARACTERS = 24
"""Characters for each token that the model takes, to which a text is first cut: if that part is
already too long, the rest is not tokenized."""
_PROBES = ("a", "0", "the")
"""Texts of which at least one has a token in any vocabulary."""


class Tokens:
    """One model's tokenizer.

    Args:
        signature: of a model that takes texts: its tokenizer, and how long a text may be.

    Raises:
        ModelFailure: the library `tokenizers` is not installed.
    """

    def __init__(self, signature: Signature) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ModelFailure(f"tokenizers is not installed: {install_extra('models')}") from None

        self._tokenizer: Any = Tokenizer.from_str(signature.tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._most = signature.max_tokens
        self._prompts = signature.prompts
        self._cut_at_start = signature.cut_at_start
        self._side: Literal["left", "right"] = "left" if signature.cut_at_start else "right"
        self._before, self._after = self._around()

    async def of_texts(
        self, texts: Sequence[str], truncated: int | None, prompt: str | None = None
    ) -> list[np.ndarray]:
        """Token ids of each text: arrays (tokens,) of int32, or rows of them.

        The rows are ids, token types and, where a prompt does not count for a vector, 1 for each
        token that does. What is missing is 0 or 1 for all tokens.

        Args:
            texts: any texts.
            truncated: tokens to cut each text to; None: a text that is too long is an error.
            prompt: written before each text; None: the model's default prompt.

        Raises:
            BadItem: a text is longer than the model takes.
        """
        before = self._prompts.named(None) if prompt is None else prompt
        if sum(map(len, texts)) + len(before) * len(texts) <= INLINE_CHARACTERS:
            return self._of_texts(texts, truncated, before)
        return await asyncio.to_thread(self._of_texts, texts, truncated, before)

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
        found = []
        for place, given in enumerate(texts):
            if min(given) < 0 or max(given) >= vocabulary:
                raise BadItem(
                    f"text {place} has a token that is none: ids are 0 to {vocabulary - 1}"
                )
            own = list(given)
            if self._before and own[: len(self._before)] == self._before:
                own = own[len(self._before) :]
            if self._after and own[-len(self._after) :] == self._after:
                own = own[: -len(self._after)]
            around = len(self._before) + len(self._after)
            if truncated is not None and len(own) + around > truncated:
                kept = self._room(truncated, around)
                own = own[len(own) - kept :] if self._cut_at_start else own[:kept]
            elif self._most is not None and len(own) + around > self._most:
                raise self._too_long(place, len(own) + around)
            found.append(np.array([*self._before, *own, *self._after], np.int32))
        return found

    def _around(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        for probe in _PROBES:
            whole = self._tokenizer.encode(probe)
            own = [place for place, special in enumerate(whole.special_tokens_mask) if not special]
            if own:
                return whole.ids[: own[0]], whole.ids[own[-1] + 1 :]
        return [], []

    def _of_texts(
        self, texts: Sequence[str], truncated: int | None, prompt: str
    ) -> list[np.ndarray]:
        written = [self._cut_roughly(prompt + text) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(written)
        uncounted = self._prompt_tokens(prompt)
        found = []
        for place, encoding in enumerate(encoded):
            fitted = self._fitted(place, encoding, truncated, written[place])
            ids = np.array(fitted.ids, np.int32)
            if uncounted or any(fitted.type_ids):
                counted = np.arange(len(ids)) >= uncounted
                rows = (ids, np.array(fitted.type_ids), counted)
                ids = np.array(rows if uncounted else rows[:2], np.int32)
            found.append(ids)
        return found

    def _prompt_tokens(self, prompt: str) -> int:
        """How many tokens at the beginning of a text do not count for its vector."""
        if not prompt or self._prompts.counted:
            return 0
        ids = self._tokenizer.encode(prompt).ids
        special = self._after[-1:] == ids[-1:] and bool(self._after)
        return len(ids) - special

    def _of_pairs(
        self, first: str, others: Sequence[str], truncated: int | None
    ) -> list[np.ndarray]:
        pairs = [(self._cut_roughly(first), self._cut_roughly(other)) for other in others]
        found = []
        for place, encoding in enumerate(self._tokenizer.encode_batch(pairs)):
            fitted = self._fitted(place, encoding, truncated, *pairs[place])
            found.append(np.array([fitted.ids, fitted.type_ids], np.int32))
        return found

    def _fitted(self, place: int, encoding: Any, truncated: int | None, *texts: str) -> Any:
        """`encoding` of a text or of a pair, cut to `truncated`.

        Raises:
            BadItem: it is too long.
        """
        tokens = len(encoding.ids)
        if truncated is not None and tokens > truncated:
            return self._cut(truncated, *texts)
        if self._most is not None and tokens > self._most:
            raise self._too_long(place, tokens)
        return encoding

    def _cut(self, most: int, *texts: str) -> Any:
        """`texts`, one or a pair, encoded to at most `most` tokens, special ones included.

        Source: tokenizers, `truncate_encodings`, longest first.
        """
        parts = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        pair = len(parts) > 1
        room = self._room(most, self._tokenizer.num_special_tokens_to_add(pair))
        sizes = [len(part.ids) for part in parts]
        if not pair:
            sizes = [min(sizes[0], room)]
        elif sum(sizes) > room:
            short, long = min(sizes), max(min(sizes), room - min(sizes))
            if short + long > room:
                short, long = room // 2, room // 2 + room % 2
            sizes = [long, short] if sizes[0] > sizes[1] else [short, long]
        for part, size in zip(parts, sizes, strict=True):
            if len(part.ids) > size:
                part.truncate(size, direction=self._side)
        return self._tokenizer.post_process(*parts)

    def _room(self, most: int, around: int) -> int:
        """Tokens of `most` that are left beside `around` special ones. Raises BadItem for none."""
        if most <= around:
            raise BadItem(
                f"{most} tokens have no room for a text; the model writes {around} around it"
            )
        return most - around

    def _cut_roughly(self, text: str) -> str:
        # A tokenizer does not take lone surrogates, which JSON may hold.
        text = text.encode("utf-8", "replace").decode()
        if self._most is None or len(text) <= TOKEN_CHARACTERS * self._most:
            return text
        size = TOKEN_CHARACTERS * self._most
        # Where the beginning is cut, what is left must not begin within a word.
        kept = text[-size:].partition(" ")[2] if self._cut_at_start else text[:size]
        enough = len(self._tokenizer.encode(kept)) > self._most + 1
        return kept if enough else text

    def _too_long(self, place: int, tokens: int) -> BadItem:
        return BadItem(
            f"text {place} has at least {tokens} tokens, and this model takes {self._most}; "
            "shorten it"
        )
