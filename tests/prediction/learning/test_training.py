"""From examples to a predictor that knows prompts it has not seen."""

import numpy as np
import pytest
from tests.prediction.conftest import examples

from headway.prediction.learning.evaluation import evaluate
from headway.prediction.learning.examples import Examples, ExamplesError
from headway.prediction.learning.explanation import explain
from headway.prediction.learning.training import common_length, train
from headway.prediction.texts.prompt import Prompt


def test_it_orders_prompts_that_it_has_not_seen(predictor) -> None:
    found = evaluate(predictor, examples(300, seed=9))
    assert found.kendall_tau > 0.75
    assert found.pairwise_accuracy > 0.85
    assert found.coverage_80 == pytest.approx(0.8, abs=0.1)
    assert predictor.card.examples == 300


def test_the_order_of_examples_hardly_matters() -> None:
    source = examples(300)
    backwards = source.rows(np.arange(299, -1, -1))
    one, other = train("m", [source]), train("m", [backwards])
    asked = examples(20, seed=5).prompts
    assert np.allclose(one.model.scores(asked), other.model.scores(asked), atol=0.1)


def test_what_other_models_answered_to_other_prompts_helps() -> None:
    few, many = examples(100), examples(600, seed=3, name="elsewhere")
    nobody = np.full(len(many), np.nan)
    other = Examples(many.name, many.prompts, nobody, many.lengths[:, None] * 1.7)
    test = examples(300, seed=8)
    alone, taught = train("m", [few]), train("m", [few, other])
    assert evaluate(taught, test).kendall_tau > evaluate(alone, test).kendall_tau - 0.01
    assert taught.card.data == ("made-up", "elsewhere")


def test_too_few_examples_are_refused_with_their_number() -> None:
    with pytest.raises(ExamplesError, match=r"too few examples of 'm': 12, and training takes 100"):
        train("m", [examples(12)])
    with pytest.raises(ExamplesError, match=r"examples of 'm': 0,"):
        train("m", [])


def test_one_length_for_all_is_predicted_for_all() -> None:
    source = examples(150)
    same = Examples(source.name, source.prompts, np.full(150, 64.0), source.others)
    predictor = train("m", [same])
    assert predictor.predict([Prompt("Anything?")])[0].estimate.quantile(0.5) == 64


def test_one_prompt_for_all_is_a_wide_estimate() -> None:
    lengths = np.geomspace(1, 2000, 150).round()
    source = Examples("one", [Prompt("Again.")] * 150, lengths, np.empty((150, 0)))
    estimate = train("m", [source]).predict([Prompt("Again.")])[0].estimate
    assert estimate.quantile(0.9) > 20 * estimate.quantile(0.1)


def test_prompts_without_text_are_accepted() -> None:
    source = examples(200)
    prompts = [*source.prompts[:100], *[Prompt("")] * 50, *[Prompt("\x00💥" * 5000)] * 50]
    predictor = train("m", [Examples("odd", prompts, source.lengths, source.others)])
    assert len(predictor.predict([Prompt(""), Prompt("x" * 10**6)])) == 2
    assert predictor.predict([]) == []


def test_the_common_length_is_standardised_per_model() -> None:
    nan = np.nan
    lengths = np.array([2.0, 8.0, nan, nan])
    others = np.array([[20.0], [80.0], [40.0], [nan]])
    common = common_length(Examples("x", [Prompt("")] * 4, lengths, others))
    assert common[1] > common[2] > common[0]
    assert np.isnan(common[3])


def test_an_explanation_names_the_words_that_matter(predictor) -> None:
    found = explain(predictor, "Write a long essay about whales in detail.")
    factors = {word.text: word.factor for word in found.words}
    assert factors.get("essay", 1.0) > 1.2 or factors.get("long", 1.0) > 1.2
    assert found.interval_80[0] <= found.mean_tokens <= 2 * found.interval_80[1]
