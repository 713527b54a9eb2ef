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
from headway.prediction.features import FeatureMaker, Features
from headway.prediction.predictor import Card, Predictor
from headway.prediction.prompt import Prompt
from headway.prediction.stack import Stack

LEAST_EXAMPLES = 100
LEAST_OF_OTHERS = 200
"""Other data that are fewer teach nothing about the target."""
MOST_OF_OTHERS = 10_000
"""Of one other source: more of the same adds time and little else."""


def train(target: str, sources: Sequence[Examples]) -> Predictor:
    """A predictor of `target`'s lengths.

    Sources with lengths of the target are what is learned. What other models answered to the same
    prompts steadies it: one answer says little of what its prompt asks for. What they answered to
    other prompts is learned first, by a model that becomes the base of the second.

    Raises:
        ExamplesError: too few lengths of the target.
    """
    own = [source.answered() for source in sources if source.has_target]
    prompts = [prompt for source in own for prompt in source.prompts]
    lengths = np.concatenate([source.lengths for source in own]) if own else np.empty(0)
    steady = np.concatenate([_steadied(source) for source in own]) if own else np.empty(0)
    _enough(target, len(prompts))
    base = _other_data(sources, {_normal(prompt.text) for prompt in prompts})
    maker = FeatureMaker.learned_from(prompts)
    names = [source.name for source in sources]
    groups = _groups(prompts)
    return _predictor(target, names, maker, maker.of(prompts), lengths, steady, groups, base)


def train_on_log(
    target: str, name: str, features: Features, lengths: np.ndarray, base: Stack
) -> Predictor:
    """A predictor of `target`'s lengths from the features that a request log keeps.

    Args:
        target: a model's name.
        name: of the log.
        features: of finished requests.
        lengths: their output tokens.
        base: a model of other traffic, such as the one that ships; None: there is none.

    Raises:
        ExamplesError: too few requests.
    """
    _enough(target, len(features))
    groups = np.array([hash(tuple(buckets)) for buckets in features.buckets])
    logs = np.log2(lengths)
    return _predictor(target, [name], FeatureMaker(), features, lengths, logs, groups, base)


def _enough(target: str, examples: int) -> None:
    if examples < LEAST_EXAMPLES:
        raise ExamplesError(
            f"{examples} examples of {target!r} are too few; {LEAST_EXAMPLES} are the least"
        )


def _predictor(
    target: str,
    names: Sequence[str],
    maker: FeatureMaker,
    features: Features,
    lengths: np.ndarray,
    steady: np.ndarray,
    groups: np.ndarray,
    base: Stack | None,
) -> Predictor:
    targets = steady.astype(np.float32)
    model, held_back = Stack.fit(maker, features, targets, groups, base=base)
    card = Card(
        target=target,
        data=tuple(names),
        examples=len(features),
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


def _steadied(own: Examples) -> np.ndarray:
    """log2 of the target's lengths, each half way to what other models say of its prompt."""
    logs = np.log2(own.lengths)
    spread = logs.std()
    others = common_length(Examples(own.name, own.prompts, np.full(len(own), np.nan), own.others))
    if not spread or not np.isfinite(others).all() or not others.std():
        unchanged: np.ndarray = logs
        return unchanged
    both = (logs - logs.mean()) / spread + others / others.std()
    steadied: np.ndarray = logs.mean() + spread * (both - both.mean()) / both.std()
    return steadied


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
    maker = FeatureMaker.learned_from(prompts)
    model, _ = Stack.fit(
        maker,
        maker.of(prompts),
        np.concatenate(targets),
        _groups(prompts),
        sample_weights=weight / weight.mean(),
    )
    return model


def _groups(prompts: Sequence[Prompt]) -> np.ndarray:
    """A number for each prompt, the same for equal texts."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(prompt.text, len(known)) for prompt in prompts])


def _normal(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
