"""Prompts as numbers, the same at training and at serving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from headway.prediction import lexical
from headway.prediction.arrays import Floats, State
from headway.prediction.prompt import Prompt
from headway.prediction.vectors import HEAD_WORDS, shipped_vectors
from headway.prediction.words import BUCKETS, hashed_pairs, words_of

FREQUENT_LINE = 0.05
"""A line that this part of all prompts has belongs to their template."""
LONGEST_LINES = 400
"""Lines of a prompt that are looked up."""


@dataclass(frozen=True, slots=True)
class Features:
    """Of several prompts, by row."""

    dense: Floats
    buckets: list[list[int]]
    """Of each prompt, as `hashed_pairs` gives them."""

    def __len__(self) -> int:
        return len(self.buckets)

    def rows(self, which: slice) -> Features:
        """Those of some of the prompts."""
        return Features(self.dense[which], self.buckets[which])


class FeatureMaker:
    """Makes Features, looking only at what is a prompt's own.

    Args:
        template_lines: hashes of the lines that prompts of this traffic share.
    """

    def __init__(self, template_lines: Iterable[int] = ()) -> None:
        self._template_lines = frozenset(template_lines)
        self._vectors = shipped_vectors()

    @classmethod
    def learned_from(cls, prompts: Sequence[Prompt]) -> FeatureMaker:
        """One that leaves out the lines which many of `prompts` share."""
        counts = Counter(
            line for prompt in prompts for line in set(map(_line_hash, _lines(prompt.text)))
        )
        frequent = max(5.0, FREQUENT_LINE * len(prompts))
        return cls(line for line, count in counts.items() if count >= frequent)

    def of(self, prompts: Sequence[Prompt]) -> Features:
        """One row per prompt."""
        numbers, words, buckets = [], [], []
        for prompt in prompts:
            text = self._own(prompt.text)
            of_text = words_of(text)
            words.append(of_text)
            buckets.append(hashed_pairs(of_text))
            numbers.append(lexical.lexical(prompt, text, of_text))
        counts = np.array(numbers, np.float32).reshape(len(prompts), len(lexical.NAMES))
        return Features(np.hstack([counts, self._vectors.means(words)]), buckets)

    @property
    def names(self) -> list[str]:
        """What each column of `Features.dense` is."""
        dimensions = range(self._vectors.dimensions)
        meaning = [f"meaning_{d}" for d in dimensions]
        return [*lexical.NAMES, *meaning, *(f"meaning_at_start_{d}" for d in dimensions)]

    def _own(self, text: str) -> str:
        if not self._template_lines:
            return text
        lines = _lines(text)
        own = [line for line in lines if _line_hash(line) not in self._template_lines]
        return "\n".join(own) if len(own) < len(lines) else text

    def state(self) -> State:
        return {"template_lines": np.array(sorted(self._template_lines), np.int64)}

    @classmethod
    def from_state(cls, state: State) -> FeatureMaker:
        return cls(state["template_lines"].tolist())


def fingerprint() -> str:
    """Changes with everything that features are made by: a model fits only its own."""
    made_by = [*lexical.NAMES, *lexical.GROUPS.values(), BUCKETS, HEAD_WORDS, lexical.HEAD_WORDS]
    return f"{crc32(repr(made_by).encode()):08x}-{shipped_vectors().dimensions}"


def _lines(text: str) -> list[str]:
    lines = text.split("\n", LONGEST_LINES)
    return [line for line in lines if line.strip()]


def _line_hash(line: str) -> int:
    return crc32(line.strip().encode("utf-8", "surrogatepass"))
