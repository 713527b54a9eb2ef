"""The remaining length of an unfinished answer."""

import random

import numpy as np
import pytest

from headway.core.estimate import SizeEstimate
from headway.prediction.learning.cuts import Cuts, cut_answers
from headway.prediction.models.artefact import save_refinement, shipped_refinement
from headway.prediction.models.bins import BIN_TOKENS
from headway.prediction.models.refinement import (
    CUTS,
    Correction,
    Refinement,
    next_cut,
    standing,
    stretched,
)
from headway.prediction.texts.prompt import Prompt

ANYTHING = SizeEstimate(BIN_TOKENS, [1.0] * len(BIN_TOKENS))
WORDS_OF_ITEM = 20


def lists(count: int, seed: int = 0) -> Cuts:
    """Answers of as many items as asked, whose prompts say nothing about their length."""
    rng = random.Random(seed)
    asked = [rng.choice([3, 5, 10, 20, 40]) for _ in range(count)]
    item = "word " * (WORDS_OF_ITEM - 1)
    answers = ["".join(f"{n}. {item}\n" for n in range(1, items + 1)) for items in asked]
    lengths = np.array(asked, float) * WORDS_OF_ITEM
    prompts = [Prompt(f"List {items} facts.") for items in asked]
    return cut_answers(prompts, answers, lengths, [ANYTHING] * count)


def test_answers_are_cut_where_they_would_be_read() -> None:
    cut = cut_answers(
        [Prompt("Why?")] * 3, ["x" * 400, None, "y"], np.array([100.0, 50.0, 1.0]), [ANYTHING] * 3
    )
    assert cut.output_tokens.tolist() == [n for n in CUTS if n < 100]
    assert (cut.output_tokens + cut.left_tokens == 100).all()
    parts = cut_answers([Prompt("Why?")], ["x" * 400], np.array([100.0]), [ANYTHING], [0.25, 0.75])
    assert parts.output_tokens.tolist() == [25, 75]
    assert len(Cuts.joined([cut, parts]).predicted) == len(cut.left_tokens) + 2


def test_answers_are_read_twice_per_octave() -> None:
    assert next_cut(CUTS[0]) == CUTS[1] == 23
    assert next_cut(10**6) == 2 * 10**6


def test_the_items_so_far_predict_the_rest(tmp_path) -> None:
    refinement = lists(300).fit()
    later = lists(60, seed=1)
    octaves = np.array(refinement.octaves(later.standings))
    seen = np.log2(later.left_tokens) - later.middle_octaves
    assert np.abs(octaves - seen).mean() < 0.25 * np.abs(seen - seen.mean()).mean()
    save_refinement(refinement, tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as state:
        again = Refinement.of(dict(state))
    assert again.octaves(later.standings) == pytest.approx(octaves.tolist(), abs=1e-3)


@pytest.mark.parametrize("octaves", [-8.0, -0.3, 0.0, 1.5])
def test_the_predicted_rest_is_stretched(octaves: float) -> None:
    whole = stretched(ANYTHING, 64, octaves)
    assert whole.tokens[0] > 64
    rest, longer = ANYTHING.after(64), whole.after(64)
    assert longer.quantile(0.5) == pytest.approx(rest.quantile(0.5) * 2.0**octaves, abs=1.0)
    assert sum(whole.weights) == pytest.approx(1.0)


def test_a_refinement_is_followed_as_far_as_it_proved_right() -> None:
    rng = random.Random(0)
    good, useless, biased = Correction(), Correction(), Correction()
    assert good.of(1.0) == 0.0
    for _ in range(400):
        said = rng.gauss(0.0, 0.5)
        good.observe(said, said + rng.gauss(0.0, 0.5))
        useless.observe(said, rng.gauss(0.0, 0.5))
        biased.observe(said + 1.0, said)
    assert good.of(1.0) == pytest.approx(0.9, abs=0.15)
    assert useless.of(1.0) == pytest.approx(0.0, abs=0.2)
    assert biased.of(1.0) == pytest.approx(0.0, abs=0.15)


def test_an_answer_that_outlived_its_prediction_has_a_standing() -> None:
    assert np.isfinite(standing("text", 500, 0.0, SizeEstimate.exactly(20))).all()
    assert shipped_refinement().octaves(standing("1. A", 20, 9.0, ANYTHING)[None])
