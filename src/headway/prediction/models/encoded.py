"""The stack and an encoder, blended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.prediction.arrays import Floats, State, named, part
from headway.prediction.models.encoder import Encoder
from headway.prediction.models.stack import Stack, blend_of
from headway.prediction.texts.features import Features
from headway.prediction.texts.prompt import Prompt

PSEUDO_PROMPTS = 50.0
"""Strength of the prior for equal weights, as a number of prompts, when neither score correlates
with the targets; it weakens as they do. With a few dozen prompts, fitted weights are mostly chance,
and two models that err differently are better than either."""


class EncodedStack:
    """The best ranking that Headway has, at a few milliseconds a prompt.

    Args:
        stack: scores words, counts and meaning.
        encoder: scores sentences.
        blend: weights of the two, then the intercept.
    """

    def __init__(self, stack: Stack, encoder: Encoder, blend: Floats) -> None:
        self._encoder = encoder
        self._stack = stack
        self._blend = blend

    @classmethod
    def fit(
        cls,
        stack: Stack,
        encoder: Encoder,
        held_back: Floats,
        prompts: Sequence[Prompt],
        targets: Floats,
    ) -> tuple[EncodedStack, Floats]:
        """The blend of the two, and its scores of `prompts`.

        Args:
            stack: trained on everything.
            encoder: not trained on `prompts`.
            held_back: scores of `prompts` by stacks that were not trained on them.
            prompts: to fit the weights on.
            targets: one for each of them.
        """
        views = np.column_stack([held_back, encoder.scores(_own_texts(stack, prompts))])
        centre = views.mean(axis=0)
        mean = float(targets.mean())
        weights = _leaning_blend(views - centre, targets - mean)
        blend = np.append(weights, mean - centre @ weights).astype(np.float32)
        scores: Floats = (views @ weights + blend[2]).astype(np.float32)
        return cls(stack, encoder, blend), scores

    def scores(self, prompts: Sequence[Prompt]) -> Floats:
        """One score per prompt, in the unit of the targets."""
        of_stack = self._stack.scores(prompts)
        of_encoder = self._encoder.scores(_own_texts(self._stack, prompts))
        scores: Floats = of_stack * self._blend[0] + of_encoder * self._blend[1] + self._blend[2]
        return scores

    def scores_of(self, features: Features) -> Floats:
        """The scores of the stack alone, for when only features are known: worse than `scores`."""
        return self._stack.scores_of(features)

    def state(self) -> State:
        return {
            **self._stack.state(),
            **named("encoder", self._encoder.state()),
            "blend_with_encoder": self._blend,
        }

    @classmethod
    def of(cls, state: State) -> EncodedStack:
        return cls(
            Stack.of(state),
            Encoder.of(part(state, "encoder")),
            state["blend_with_encoder"].astype(np.float32),
        )


def _own_texts(stack: Stack, prompts: Sequence[Prompt]) -> list[str]:
    """What the encoder reads: without templates, which would fill most of its input."""
    return [stack.maker.template.own(prompt.text) for prompt in prompts]


def _leaning_blend(views: Floats, targets: Floats) -> Floats:
    """Weights of the columns of `views` that fit `targets`; both have mean 0.

    Ridge regression that shrinks towards weights with equal shares of the variance.
    """
    ones = np.ones(len(targets), np.float32)
    missed = targets - views @ blend_of(views, targets, ones)
    unexplained = float(missed @ missed) / max(float(targets @ targets), 1e-9)
    spread = views.std(axis=0)
    equal = (views / np.where(spread > 0.0, spread, 1.0)).sum(axis=1)
    part = max(0.0, float(equal @ targets) / max(float(equal @ equal), 1e-9))
    seen = np.append(ones, np.full(len(spread), PSEUDO_PROMPTS * unexplained))
    return blend_of(
        np.vstack([views, np.diag(spread)]),
        np.append(targets, np.full(len(spread), part)),
        seen.astype(np.float32),
    )
