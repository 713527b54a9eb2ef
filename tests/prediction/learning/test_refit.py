"""A new predictor replaces the current one only if it ranks the newest traffic better."""

import numpy as np
import pytest
from tests.prediction.conftest import examples

from headway.prediction.learning.examples import ExamplesError
from headway.prediction.learning.refit import refit
from headway.prediction.models.artefact import shipped, shipped_stack
from headway.prediction.texts.features import FeatureMaker


def test_unfamiliar_traffic_gives_a_better_predictor() -> None:
    source = examples(250)
    features = FeatureMaker().of(source.prompts)
    prior = shipped()
    new = refit("m", "log", features, source.lengths, prior, shipped_stack())
    assert (new.verdict.examples, new.verdict.newest) == (200, 50)
    assert new.verdict.tau_new > new.verdict.tau_current + 0.1
    assert new.verdict.better
    again = refit("m", "log", features, source.lengths, new.predictor, shipped_stack())
    assert not again.verdict.better


def test_lengths_without_any_order_replace_nothing(predictor) -> None:
    source = examples(250)
    lengths = np.random.default_rng(0).permutation(source.lengths)
    lengths[200:] = source.lengths[200:]
    features = FeatureMaker().of(source.prompts)
    assert not refit("m", "log", features, lengths, predictor, shipped_stack()).verdict.better


def test_too_few_requests_are_refused() -> None:
    source = examples(60)
    features = FeatureMaker().of(source.prompts)
    with pytest.raises(ExamplesError, match="too few"):
        refit("m", "log", features, source.lengths, shipped(), shipped_stack())
