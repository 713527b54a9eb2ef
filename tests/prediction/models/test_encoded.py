"""The stack and an encoder: how much each of them counts."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from tests.prediction.conftest import examples

from headway.prediction.learning.training import train
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.encoder import Encoder
from headway.prediction.models.stack import Stack
from headway.prediction.texts.prompt import Prompt


class Says:
    """An encoder of known scores."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def scores(self, texts: list[str]) -> np.ndarray:
        assert len(texts) == len(self._scores)
        return self._scores

    def state(self) -> dict[str, np.ndarray]:
        return {}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return cast(Stack, train("m", [examples(100)]).model)


def weights(stack: Stack, of_stack: np.ndarray, of_encoder: np.ndarray, targets: np.ndarray):
    """Weights of the two, in units of their standard deviations."""
    encoder = cast(Encoder, Says(of_encoder.astype(np.float32)))
    prompts = [Prompt("Write a poem.")] * len(targets)
    both, scores = EncodedStack.fit(stack, encoder, of_stack, prompts, targets)
    assert scores.mean() == pytest.approx(targets.mean(), abs=1e-3)
    blend = both.state()["blend_with_encoder"][:2]
    return blend * [of_stack.std(), of_encoder.std()]


def views(prompts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two equally good scores with independent errors, and their targets."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(8.0, 1.0, prompts)
    one, other = (targets + rng.normal(0.0, 2.0, prompts) for _ in range(2))
    return one, 3.0 * other, targets


def test_few_prompts_do_not_drop_one_of_two_equal_models(stack: Stack) -> None:
    for seed in range(20):
        of_stack, of_encoder = weights(stack, *views(20, seed))
        assert 0.25 < of_stack / of_encoder < 4.0


def test_many_prompts_drop_a_worthless_model(stack: Stack) -> None:
    one, other, targets = views(5000)
    noise = np.random.default_rng(1).permutation(one)
    of_stack, of_encoder = weights(stack, noise, other, targets)
    assert of_stack < 0.1 * of_encoder


def test_a_constant_score_has_no_weight(stack: Stack) -> None:
    _, other, targets = views(30)
    assert weights(stack, np.full(30, 7.0), other, targets)[0] == 0.0
    assert np.isfinite(weights(stack, np.full(30, 7.0), np.full(30, 7.0), targets)).all()
