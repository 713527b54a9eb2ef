"""The default model: its scores and its training."""

from __future__ import annotations

import numpy as np
import pytest
from tests.prediction.conftest import examples

from headway.prediction.learning.evaluation import kendall_tau
from headway.prediction.models.stack import Stack
from headway.prediction.texts.features import FeatureMaker

SOURCE, LATER = examples(300), examples(300, seed=1)


def fitted(targets: np.ndarray, lengths: bool) -> tuple[Stack, np.ndarray]:
    features = FeatureMaker().of(SOURCE.prompts)
    groups = np.arange(len(SOURCE))
    return Stack.fit(FeatureMaker(), features, targets.astype(np.float32), groups, lengths=lengths)


def test_scores_are_in_octaves_although_lengths_are_learned_as_roots() -> None:
    model, held_back = fitted(np.log2(SOURCE.lengths), lengths=True)
    scores = model.scores(LATER.prompts)
    assert kendall_tau(scores, LATER.lengths) > 0.75
    for predicted, real in ((held_back, SOURCE.lengths), (scores, LATER.lengths)):
        assert np.median(predicted - np.log2(real)) == pytest.approx(0.0, abs=0.3)
        assert predicted.min() >= 0.0  # no answer is shorter than one token


def test_other_targets_keep_their_unit() -> None:
    targets = (np.log2(SOURCE.lengths) - 20.0) / 2.0  # below 0, where a root of tokens never is
    model, held_back = fitted(targets, lengths=False)
    assert held_back.mean() == pytest.approx(targets.mean(), abs=0.2)
    assert np.corrcoef(model.scores(LATER.prompts), np.log2(LATER.lengths))[0, 1] > 0.9


@pytest.mark.parametrize("lengths", [True, False])
def test_it_survives_a_round_trip_through_arrays(lengths: bool) -> None:
    model, _ = fitted(np.log2(SOURCE.lengths), lengths)
    again = Stack.of(model.state())
    assert again.scores(LATER.prompts) == pytest.approx(model.scores(LATER.prompts), abs=0.01)


def test_older_arrays_without_a_unit_are_in_that_of_their_targets() -> None:
    model, _ = fitted(np.log2(SOURCE.lengths), lengths=False)
    state = model.state()
    del state["lengths"]
    scores = Stack.of(state).scores(LATER.prompts)
    assert scores == pytest.approx(model.scores(LATER.prompts), abs=0.01)
