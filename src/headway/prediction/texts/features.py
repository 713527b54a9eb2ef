"""Prompts as numbers, the same in training and serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from headway.prediction.arrays import Floats, State
from headway.prediction.texts import lexical
from headway.prediction.texts.buckets import BUCKETS, Buckets
from headway.prediction.texts.kinds import CHARACTERS, GROUPS
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.template import Template
from headway.prediction.texts.vectors import HEAD_WORDS, shipped_vectors
from headway.prediction.texts.vocabulary import shipped_vocabulary

READ_AT_ONCE = 64
"""Prompts per batch: bounds the memory for facts about their words."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of several prompts, one row each."""

    dense: Floats
    buckets: Buckets

    def __len__(self) -> int:
        return len(self.dense)

    def rows(self, which: slice) -> Features:
        """The features of some of the prompts."""
        return Features(self.dense[which], self.buckets.rows(np.arange(len(self))[which]))


class FeatureMaker:
    """Makes Features from prompts, without their template.

    Args:
        template: the lines that prompts of this traffic share; None: none.
    """

    def __init__(self, template: Template | None = None) -> None:
        self.template = template or Template()
        self._vectors = shipped_vectors()
        self._vocabulary = shipped_vocabulary()

    @classmethod
    def learned_from(cls, prompts: Sequence[Prompt]) -> FeatureMaker:
        """A maker that ignores lines that many of `prompts` share."""
        return cls(Template.learned_from([prompt.text for prompt in prompts]))

    def of(self, prompts: Sequence[Prompt]) -> Features:
        """One row per prompt. `prompts` must not be empty."""
        parts = [
            self._read(prompts[begin : begin + READ_AT_ONCE])
            for begin in range(0, len(prompts), READ_AT_ONCE)
        ]
        if len(parts) == 1:
            return parts[0]
        return Features(
            np.vstack([part.dense for part in parts]),
            Buckets.joined([part.buckets for part in parts]),
        )

    def _read(self, prompts: Sequence[Prompt]) -> Features:
        texts = [self.template.own(prompt.text) for prompt in prompts]
        words = self._vocabulary.words(texts)
        said = words.kinds[:, CHARACTERS] > 0.0  # everything but END
        return Features(
            np.hstack(
                [
                    lexical.lexical(prompts, texts, words),
                    self._vectors.means(words.vectors, words.row, words.start),
                ]
            ),
            Buckets.hashed(len(prompts), words.row[said], words.hashes[said]),
        )

    @property
    def names(self) -> list[str]:
        """Names of the columns of `Features.dense`."""
        dimensions = range(self._vectors.dimensions)
        meaning = [f"meaning_{d}" for d in dimensions]
        return [*lexical.NAMES, *meaning, *(f"meaning_at_start_{d}" for d in dimensions)]

    def state(self) -> State:
        return {"template_lines": np.array(sorted(self.template.lines), np.int64)}

    @classmethod
    def from_state(cls, state: State) -> FeatureMaker:
        return cls(Template(state["template_lines"].tolist()))


def fingerprint() -> str:
    """Changes with the features' names, the groups of words, the buckets and the vectors' size.

    A model only works with features of its own fingerprint. It does not cover how words are found,
    counted and hashed, nor the vectors themselves: if you change those, add something here and
    retrain the models that ship. A test pins the values of the features.
    """
    made_by = [*lexical.NAMES, *GROUPS.values(), BUCKETS, HEAD_WORDS, lexical.HEAD_WORDS]
    return f"{crc32(repr(made_by).encode()):08x}-{shipped_vectors().dimensions}"
