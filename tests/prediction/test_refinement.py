"""What is left of an answer, by what there is of it."""

import random

import numpy as np
import pytest

from headway.core.estimate import SizeEstimate
from headway.prediction.artefact import save_refinement, shipped_refinement
from headway.prediction.bins import BIN_TOKENS
from headway.prediction.prompt import Prompt
from headway.prediction.refinement import CUTS, Refinement, next_cut, standing
from headway.prediction.unfinished import Unfinished, cut_off, joined

ANYTHING = SizeEstimate(BIN_TOKENS, [1.0] * len(BIN_TOKENS))
WORDS_OF_ITEM = 20


def lists(count: int, seed: int = 0) -> Unfinished:
    """Answers of as many items as asked, whose prompts foretell nothing."""
    rng = random.Random(seed)
    asked = [rng.choice([3, 5, 10, 20, 40]) for _ in range(count)]
    item = "word " * (WORDS_OF_ITEM - 1)
    answers = ["".join(f"{n}. {item}\n" for n in range(1, items + 1)) for items in asked]
    lengths = np.array(asked, float) * WORDS_OF_ITEM
    prompts = [Prompt(f"List {items} facts.") for items in asked]
    return cut_off(prompts, answers, lengths, [ANYTHING] * count)


def test_an_answer_is_cut_where_it_is_looked_at() -> None:
    cut = cut_off(
        [Prompt("Why?")] * 3, ["x" * 400, None, "y"], np.array([100.0, 50.0, 1.0]), [ANYTHING] * 3
    )
    assert cut.output_tokens.tolist() == [n for n in CUTS if n < 100]
    assert (cut.output_tokens + cut.left_tokens == 100).all()
    parts = cut_off([Prompt("Why?")], ["x" * 400], np.array([100.0]), [ANYTHING], [0.25, 0.75])
    assert parts.output_tokens.tolist() == [25, 75]
    assert len(joined([cut, parts]).foretold) == len(cut.left_tokens) + 2


def test_every_octave_is_looked_at_twice() -> None:
    assert next_cut(CUTS[0]) == CUTS[1] == 23
    assert next_cut(10**6) == 2 * 10**6


def test_the_items_that_are_there_tell_how_many_are_to_come(tmp_path) -> None:
    refinement = lists(300).fit()
    later = lists(60, seed=1)
    medians = np.array([e.quantile(0.5) for e in refinement.left(later.standings)], float)
    blind = np.array([ANYTHING.after(int(n)).quantile(0.5) for n in later.output_tokens], float)
    error, blind_error = (np.abs(x - later.left_tokens).mean() for x in (medians, blind))
    assert error < 0.25 * blind_error
    save_refinement(refinement, tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as state:
        again = Refinement.of(dict(state))
    for one, other in zip(
        refinement.left(later.standings), again.left(later.standings), strict=True
    ):
        assert one.mean == pytest.approx(other.mean, rel=1e-2)


def test_the_whole_answer_is_longer_than_what_is_there() -> None:
    row = standing("1. One\n2. Two\n", 64, 10.0, ANYTHING)
    (estimate,) = shipped_refinement().refined(row[None], [64])
    assert estimate.tokens[0] > 64
    assert estimate.mean > 64


def test_an_answer_that_outlived_its_prediction_has_a_standing() -> None:
    assert np.isfinite(standing("text", 500, 0.0, SizeEstimate.exactly(20))).all()
