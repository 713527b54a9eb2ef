"""Prompts as numbers, the same at training and at serving."""

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
"""Prompts: what is known of each of their words is in memory meanwhile."""


@dataclass(frozen=True, slots=True)
class Features:
    """Of several prompts, by row."""

    dense: Floats
    buckets: Buckets

    def __len__(self) -> int:
        return len(self.dense)

    def rows(self, which: slice) -> Features:
        """Those of some of the prompts."""
        return Features(self.dense[which], self.buckets.rows(np.arange(len(self))[which]))


class FeatureMaker:
    """Makes Features, looking only at what is a prompt's own.

    Args:
        template: what prompts of this traffic share; None: nothing.
    """

    def __init__(self, template: Template | None = None) -> None:
        self.template = template or Template()
        self._vectors = shipped_vectors()
        self._vocabulary = shipped_vocabulary()

    @classmethod
    def learned_from(cls, prompts: Sequence[Prompt]) -> FeatureMaker:
        """One that leaves out what many of `prompts` share."""
        return cls(Template.learned_from([prompt.text for prompt in prompts]))

    def of(self, prompts: Sequence[Prompt]) -> Features:
        """One row per prompt, at least one."""
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
        said = words.kinds[:, CHARACTERS] > 0.0  # all but END
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
    made_by = [*lexical.NAMES, *GROUPS.values(), BUCKETS, HEAD_WORDS, lexical.HEAD_WORDS]
    return f"{crc32(repr(made_by).encode()):08x}-{shipped_vectors().dimensions}"
