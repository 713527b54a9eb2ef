"""From examples to a predictor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from zlib import crc32

import numpy as np

from headway.prediction.arrays import Floats
from headway.prediction.learning.evaluation import kendall_tau
from headway.prediction.learning.examples import Examples, ExamplesError
from headway.prediction.learning.finetuning import Lesson, fine_tune
from headway.prediction.learning.progress import Report, part_of, silent
from headway.prediction.models.calibration import Calibration
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.encoder import Encoder
from headway.prediction.models.predictor import Card, Predictor
from headway.prediction.models.stack import MANY, Stack
from headway.prediction.texts.features import FeatureMaker, Features
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.words import normal

LEAST_EXAMPLES = 100
LEAST_OF_OTHERS = 200
"""Other sources with fewer examples are ignored."""
LEAST_FOR_ENCODER = 300
BLENDED_ON, BLENDED_ON_OF_FEW = 0.1, 0.2
"""Share of the prompts held out of the encoder's training, to fit its weight on."""
ENOUGH_HELD_BACK = 500
"""With this many held-back errors, their distribution is known well enough."""
LEARNING = "learning"
ENCODER_FROM = 0.05
"""Share of the work that comes before the fine-tuning of an encoder, roughly."""
MOST_OF_OTHERS = 10_000
"""Examples from one other source; more of the same costs time and gains little."""


def train(
    target: str,
    sources: Sequence[Examples],
    *,
    encoder: bool | Encoder = False,
    report: Report = silent,
) -> Predictor:
    """A predictor of `target`'s lengths.

    The model learns from sources with lengths of the target. Other models' answers to the same
    prompts reduce the noise, as one answer says little about what its prompt asks for. Their
    answers to other prompts train a first model, which becomes the base of the second.

    Args:
        target: name of the model.
        sources: to learn from.
        encoder: whether to fine-tune one as well, which takes half an hour; or one that was
            fine-tuned without the prompts that are `blended_on`.
        report: called with what is being done, and the share that is done.

    Raises:
        ExamplesError: too few lengths of the target.
    """
    own = [source.answered() for source in sources if source.has_target]
    prompts = [prompt for source in own for prompt in source.prompts]
    lengths = np.concatenate([source.lengths for source in own]) if own else np.empty(0)
    _enough(target, len(prompts), LEAST_FOR_ENCODER if encoder else LEAST_EXAMPLES)
    steady = np.concatenate([steadied(source) for source in own]).astype(np.float32)
    known = {normal(prompt.text) for prompt in prompts}
    of_stack = part_of(report, 0.0, ENCODER_FROM if encoder is True else 1.0)
    base = _other_data(sources, known, part_of(of_stack, 0.0, 0.5))
    own_part = part_of(of_stack, 0.0 if base is None else 0.5, 1.0)
    own_part(LEARNING, 0.0)
    maker = FeatureMaker.learned_from(prompts)
    groups = _groups(prompts)
    model, scores = Stack.fit(
        maker,
        maker.of(prompts),
        steady,
        groups,
        base=base,
        report=lambda share: own_part(LEARNING, share),
    )
    names = [source.name for source in sources]
    if not encoder:
        tau = kendall_tau(scores, lengths)
        return _predictor(target, names, model, scores, lengths, len(prompts), tau)
    chosen = np.flatnonzero(blended_on(prompts))
    if not isinstance(encoder, Encoder):
        held_back = {normal(prompts[number].text) for number in chosen}
        lessons = _lessons(sources, held_back, known)
        (encoder,) = fine_tune(lessons, report=part_of(report, ENCODER_FROM, 1.0))
    encoded, blended = EncodedStack.fit(
        model, encoder, scores[chosen], [prompts[number] for number in chosen], steady[chosen]
    )
    tau = kendall_tau(blended, lengths[chosen])
    if len(chosen) < ENOUGH_HELD_BACK:
        blended, lengths = _as_if_held_back(scores, lengths, chosen, blended)
    else:
        lengths = lengths[chosen]
    return _predictor(target, names, encoded, blended, lengths, len(prompts), tau)


def _as_if_held_back(
    of_stack: Floats, lengths: np.ndarray, chosen: np.ndarray, blended: Floats
) -> tuple[Floats, np.ndarray]:
    """Scores and lengths of all prompts, as if the encoder had seen none of them.

    A few held-back errors show how large errors are, but not their distribution. That is taken
    from the stack, whose held-back scores are known for all prompts.

    Args:
        of_stack: held-back scores of all prompts.
        lengths: of all answers.
        chosen: prompts that the encoder was not trained on.
        blended: scores of `chosen` by stack and encoder.
    """
    errors, known = np.log2(lengths) - of_stack, of_stack[chosen]
    errors_of_both = np.log2(lengths[chosen]) - blended
    if not known.std() or not errors[chosen].std():  # nothing to scale by
        return of_stack, lengths
    scores = blended.mean() + (of_stack - known.mean()) * (blended.std() / known.std())
    smaller = errors_of_both.std() / errors[chosen].std()
    likely = errors_of_both.mean() + smaller * (errors - errors.mean())
    return scores.astype(np.float32), 2.0 ** (scores + likely)


def blended_on(prompts: Sequence[Prompt]) -> np.ndarray:
    """Mask of the prompts to hold out of an encoder's training; equal texts go together."""
    part = BLENDED_ON if len(prompts) >= MANY else BLENDED_ON_OF_FEW
    hashes = [crc32(normal(p.text).encode(errors="replace"), 1) for p in prompts]
    return np.array(hashes) < part * 2**32


def _lessons(sources: Sequence[Examples], held_back: set[str], known: set[str]) -> list[Lesson]:
    """Training data of an encoder: per prompt, the target's length first, then other models'.

    Excludes `held_back` prompts. Includes `known` ones only in sources with the target's length.
    """
    lessons = []
    for source in sources:
        texts_of_all = [normal(prompt.text) for prompt in source.prompts]
        answered = np.isfinite(source.lengths)
        allowed = np.array(
            [
                text not in held_back and (text not in known or bool(answered[number]))
                for number, text in enumerate(texts_of_all)
            ]
        )
        rows = source.rows(allowed)
        if len(rows):
            texts = [prompt.text for prompt in rows.prompts]
            logs = np.column_stack([steadied(rows), np.log2(rows.others)])
            lessons.append(Lesson(texts, logs))
    return lessons


def train_on_log(
    target: str,
    name: str,
    features: Features,
    lengths: np.ndarray,
    base: Stack | None,
    report: Report = silent,
) -> Predictor:
    """A predictor of `target`'s lengths from the features in a request log.

    Args:
        target: name of the model.
        name: of the log.
        features: of finished requests.
        lengths: their output tokens.
        base: a model of other traffic, such as the shipped one; None: none.
        report: called with what is being done, and the share that is done.

    Raises:
        ExamplesError: too few requests.
    """
    _enough(target, len(features))
    groups = np.array([hash(tuple(buckets)) for buckets in features.buckets.lists()])
    targets = np.log2(lengths).astype(np.float32)
    model, scores = Stack.fit(
        FeatureMaker(),
        features,
        targets,
        groups,
        base=base,
        report=lambda share: report(LEARNING, share),
    )
    tau = kendall_tau(scores, lengths)
    return _predictor(target, [name], model, scores, lengths, len(features), tau)


def _enough(target: str, examples: int, least: int = LEAST_EXAMPLES) -> None:
    if examples < least:
        raise ExamplesError(
            f"too few examples of {target!r}: {examples}, and training takes {least} or more"
        )


def _predictor(
    target: str,
    names: Sequence[str],
    model: Stack | EncodedStack,
    held_back: Floats,
    lengths: np.ndarray,
    examples: int,
    tau: float,
) -> Predictor:
    """A predictor from `model`, calibrated on its `held_back` scores."""
    card = Card(
        target=target,
        data=tuple(names),
        examples=examples,
        trained_unix_s=time.time(),
        kendall_tau=tau,
    )
    return Predictor(model, Calibration.fit(held_back, lengths), card)


def common_length(examples: Examples) -> Floats:
    """The length that models agree on for each prompt.

    The mean over all models of log2 length, each standardised; NaN where no model answered. It is
    less noisy than one answer of one model.
    """
    logs = np.log2(np.column_stack([examples.lengths, examples.others]))
    logs = logs[:, np.isfinite(logs).sum(axis=0) > 1]
    spread = np.nanstd(logs, axis=0)
    standard = (logs - np.nanmean(logs, axis=0)) / np.where(spread > 0.0, spread, 1.0)
    answers = np.isfinite(standard).sum(axis=1)
    total = np.nansum(standard, axis=1)
    return np.where(answers > 0, total / np.maximum(answers, 1), np.nan).astype(np.float32)


def steadied(source: Examples) -> np.ndarray:
    """log2 of the target's lengths, each averaged with other models' lengths for its prompt.

    NaN where the target's length is unknown.
    """
    answered = np.isfinite(source.lengths)
    own = source.rows(answered)
    steady: np.ndarray = np.full(len(source), np.nan)
    logs = np.log2(own.lengths)
    steady[answered] = logs
    spread = logs.std() if len(own) else 0.0
    others = common_length(Examples(own.name, own.prompts, np.full(len(own), np.nan), own.others))
    if spread and np.isfinite(others).all() and others.std():
        both = (logs - logs.mean()) / spread + others / others.std()
        steady[answered] = logs.mean() + spread * (both - both.mean()) / both.std()
    return steady


def _other_data(sources: Sequence[Examples], known: set[str], report: Report) -> Stack | None:
    """A model of the common length of prompts that are not `known`; None if there are too few."""
    prompts: list[Prompt] = []
    targets: list[Floats] = []
    weights: list[Floats] = []
    for source in sources:
        common = common_length(source)
        chosen = [
            number
            for number, prompt in enumerate(source.prompts)
            if np.isfinite(common[number]) and normal(prompt.text) not in known
        ]
        if len(chosen) < LEAST_OF_OTHERS:
            continue
        chosen = np.random.default_rng(0).permutation(chosen)[:MOST_OF_OTHERS].tolist()
        prompts += [source.prompts[number] for number in chosen]
        targets.append(common[chosen])
        # A hundred times as many examples of one kind get ten times the weight.
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
        lengths=False,
        report=lambda share: report("learning from other data", share),
    )
    return model


def _groups(prompts: Sequence[Prompt]) -> np.ndarray:
    """A number for each prompt, the same for equal texts."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(prompt.text, len(known)) for prompt in prompts])
