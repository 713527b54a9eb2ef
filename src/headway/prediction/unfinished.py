"""Answers cut off on the way: what a refinement learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.arrays import Floats
from headway.prediction.lexical import asked_items
from headway.prediction.prompt import Prompt
from headway.prediction.refinement import CUTS, Refinement, standing
from headway.prediction.words import words_of


@dataclass(frozen=True)
class Unfinished:
    """Parts of answers, by row."""

    standings: Floats
    output_tokens: np.ndarray
    """That are there."""
    left_tokens: np.ndarray
    """That are not."""
    prompts: np.ndarray
    """The number of each row's prompt."""
    foretold: list[SizeEstimate]
    """What its prompt alone said of the whole answer."""

    def rows(self, chosen: np.ndarray) -> Unfinished:
        """Those where `chosen` is true."""
        return Unfinished(
            self.standings[chosen],
            self.output_tokens[chosen],
            self.left_tokens[chosen],
            self.prompts[chosen],
            [self.foretold[number] for number in np.flatnonzero(chosen)],
        )

    def fit(self) -> Refinement:
        """What they teach."""
        return Refinement.fit(self.standings, self.left_tokens, self.prompts)


def cut_off(
    prompts: Sequence[Prompt],
    answers: Sequence[str | None],
    lengths: np.ndarray,
    foretold: Sequence[SizeEstimate],
    parts: Sequence[float] = (),
) -> Unfinished:
    """Every answer, cut at all of CUTS that it reaches, or after the given `parts` of it.

    Args:
        prompts: of the answers.
        answers: whole ones; None is left out.
        lengths: their output tokens, NaN where unknown.
        foretold: what a predictor that does not know the answer says of each.
        parts: of an answer, 0 to 1.
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
                row = standing(text, cut, asked, foretold[number])
                rows.append((row, cut, length - cut, number))
    standings, output_tokens, left_tokens, numbers = zip(*rows, strict=True)
    return Unfinished(
        np.array(standings, np.float32),
        np.array(output_tokens),
        np.array(left_tokens),
        np.array(numbers),
        [foretold[number] for number in numbers],
    )


def joined(sources: Sequence[Unfinished]) -> Unfinished:
    """All of them; rows of one prompt number stay together."""
    return Unfinished(
        np.concatenate([source.standings for source in sources]),
        np.concatenate([source.output_tokens for source in sources]),
        np.concatenate([source.left_tokens for source in sources]),
        np.concatenate([source.prompts for source in sources]),
        [estimate for source in sources for estimate in source.foretold],
    )
