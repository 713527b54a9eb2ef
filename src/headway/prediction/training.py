"""From examples to a predictor."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import numpy as np

from headway.prediction.arrays import Floats
from headway.prediction.calibration import Calibration
from headway.prediction.evaluation import kendall_tau
from headway.prediction.examples import Examples, ExamplesError
from headway.prediction.predictor import Card, Predictor
from headway.prediction.prompt import Prompt
from headway.prediction.stack import Stack

LEAST_EXAMPLES = 100
LEAST_OF_OTHERS = 200
"""Other data that are fewer teach nothing about the target."""
MOST_OF_OTHERS = 4000
"""Of one other source: more of the same adds time and little else."""


def train(target: str, sources: Sequence[Examples], *, base: Stack | None = None) -> Predictor:
    """A predictor of `target`'s lengths.

    Sources with lengths of the target are what is learned. What other models answered, to these
    prompts and to those of the other sources, teaches what prompts ask for: a first model of it
    becomes the base of the second. Without other data, `base` is taken, if it is given.

    Raises:
        ExamplesError: too few lengths of the target.
    """
    own = [source.answered() for source in sources if source.has_target]
    prompts = [prompt for source in own for prompt in source.prompts]
    lengths = np.concatenate([source.lengths for source in own]) if own else np.empty(0)
    if len(prompts) < LEAST_EXAMPLES:
        raise ExamplesError(
            f"{len(prompts)} examples of {target!r} are too few; {LEAST_EXAMPLES} are the least"
        )
    order = sorted(range(len(prompts)), key=lambda number: prompts[number].text)
    prompts, lengths = [prompts[number] for number in order], lengths[order]
    taught = _other_data(sources, {_normal(prompt.text) for prompt in prompts})
    if taught is not None:
        base = taught
    model, held_back = Stack.fit(prompts, np.log2(lengths).astype(np.float32), base=base)
    card = Card(
        target=target,
        data=tuple(source.name for source in sources),
        examples=len(prompts),
        trained_unix_s=time.time(),
        kendall_tau=kendall_tau(held_back, lengths),
    )
    return Predictor(model, Calibration.fit(held_back, lengths), card)


def common_length(examples: Examples) -> Floats:
    """How long models answer each prompt, as far as they agree.

    The mean over all models of their log2 lengths, each in its own standard deviations; NaN
    where there is no answer at all. It is steadier than one answer of one model.
    """
    logs = np.log2(np.column_stack([examples.lengths, examples.others]))
    logs = logs[:, np.isfinite(logs).sum(axis=0) > 1]
    spread = np.nanstd(logs, axis=0)
    standard = (logs - np.nanmean(logs, axis=0)) / np.where(spread > 0.0, spread, 1.0)
    answers = np.isfinite(standard).sum(axis=1)
    total = np.nansum(standard, axis=1)
    return np.where(answers > 0, total / np.maximum(answers, 1), np.nan).astype(np.float32)


def _other_data(sources: Sequence[Examples], known: set[str]) -> Stack | None:
    """A model of the common length of prompts that are not `known`; None if there are few."""
    prompts: list[Prompt] = []
    targets: list[Floats] = []
    weights: list[Floats] = []
    for source in sources:
        common = common_length(source)
        chosen = [
            number
            for number, prompt in enumerate(source.prompts)
            if np.isfinite(common[number]) and _normal(prompt.text) not in known
        ]
        if len(chosen) < LEAST_OF_OTHERS:
            continue
        chosen = np.random.default_rng(0).permutation(chosen)[:MOST_OF_OTHERS].tolist()
        prompts += [source.prompts[number] for number in chosen]
        targets.append(common[chosen])
        # A hundred times as much data of one kind is ten times as much to learn from.
        weights.append(np.full(len(chosen), len(chosen) ** -0.5, np.float32))
    if not prompts:
        return None
    weight = np.concatenate(weights)
    order = sorted(range(len(prompts)), key=lambda number: prompts[number].text)
    model, _ = Stack.fit(
        [prompts[number] for number in order],
        np.concatenate(targets)[order],
        sample_weights=(weight / weight.mean())[order],
    )
    return model


def _normal(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
