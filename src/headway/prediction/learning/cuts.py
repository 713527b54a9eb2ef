"""Answers cut at several lengths, to train a refinement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.arrays import Floats
from headway.prediction.models.refinement import CUTS, Refinement, middle_octaves, standing
from headway.prediction.texts.lexical import asked_items
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.words import words_of


@dataclass(frozen=True)
class Cuts:
    """Beginnings of answers, one row each."""

    standings: Floats
    output_tokens: np.ndarray
    """Tokens before the cut."""
    left_tokens: np.ndarray
    """Tokens after the cut."""
    predicted: list[SizeEstimate]
    """Length of the whole answer as predicted from its prompt alone."""

    @classmethod
    def joined(cls, sources: Sequence[Cuts]) -> Cuts:
        """All `sources`, concatenated."""
        return cls(
            np.concatenate([source.standings for source in sources]),
            np.concatenate([source.output_tokens for source in sources]),
            np.concatenate([source.left_tokens for source in sources]),
            [estimate for source in sources for estimate in source.predicted],
        )

    def fit(self) -> Refinement:
        """A refinement trained on these cuts."""
        return Refinement.fit(self.standings, np.log2(self.left_tokens) - self.middle_octaves)

    @property
    def middle_octaves(self) -> np.ndarray:
        """log2 of the median predicted rest of each row."""
        pairs = zip(self.predicted, self.output_tokens.tolist(), strict=True)
        return np.array([middle_octaves(estimate, came) for estimate, came in pairs])


def cut_answers(
    prompts: Sequence[Prompt],
    answers: Sequence[str | None],
    lengths: np.ndarray,
    predicted: Sequence[SizeEstimate],
    parts: Sequence[float] = (),
) -> Cuts:
    """Every answer, cut at all of CUTS that it reaches, or at the given `parts` of its length.

    Args:
        prompts: of the answers.
        answers: complete texts; None is skipped.
        lengths: their output tokens, NaN where unknown.
        predicted: predictions from models that were not trained on these answers.
        parts: shares of an answer, 0 to 1.
    """
    rows: list[tuple[Floats, int, float, int]] = []
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        length = lengths[number]
        if answer is None or not length > 1.0:
            continue
        asked = asked_items(words_of(prompt.text))
        cuts = [int(part * length) for part in parts] or CUTS
        for cut in cuts:
            if 0 < cut < length:
                text = answer[: round(len(answer) * cut / length)]
                row = standing(text, cut, asked, predicted[number])
                rows.append((row, cut, length - cut, number))
    standings, output_tokens, left_tokens, numbers = zip(*rows, strict=True)
    return Cuts(
        np.array(standings, np.float32),
        np.array(output_tokens),
        np.array(left_tokens),
        [predicted[number] for number in numbers],
    )
