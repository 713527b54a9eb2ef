"""Prompts as numbers, the same at training and at serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from headway.prediction import lexical
from headway.prediction.arrays import Floats, State
from headway.prediction.prompt import Prompt
from headway.prediction.template import Template
from headway.prediction.vectors import HEAD_WORDS, shipped_vectors
from headway.prediction.words import BUCKETS, hashed_pairs, words_of


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
        template: what prompts of this traffic share; None: nothing.
    """

    def __init__(self, template: Template | None = None) -> None:
        self.template = template or Template()
        self._vectors = shipped_vectors()

    @classmethod
    def learned_from(cls, prompts: Sequence[Prompt]) -> FeatureMaker:
        """One that leaves out what many of `prompts` share."""
        return cls(Template.learned_from([prompt.text for prompt in prompts]))

    def of(self, prompts: Sequence[Prompt]) -> Features:
        """One row per prompt."""
        numbers, words, buckets = [], [], []
        for prompt in prompts:
            text = self.template.own(prompt.text)
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

    def state(self) -> State:
        return {"template_lines": np.array(sorted(self.template.lines), np.int64)}

    @classmethod
    def from_state(cls, state: State) -> FeatureMaker:
        return cls(Template(state["template_lines"].tolist()))


def fingerprint() -> str:
    """Changes with the features' names, the kinds of words, the buckets and the vectors' size.

    A model fits only features of its own fingerprint. How words are found, counted and hashed, and
    the vectors themselves, are not in it: whoever changes any of that adds something here, and
    trains anew what ships. A test holds the features to what they were.
    """
    made_by = [*lexical.NAMES, *lexical.GROUPS.values(), BUCKETS, HEAD_WORDS, lexical.HEAD_WORDS]
    return f"{crc32(repr(made_by).encode()):08x}-{shipped_vectors().dimensions}"
