"""Train the shipped refinement: the remaining length of an unfinished answer.

    HEADWAY_DATA=../shared/data python training/refinement.py

Uses the answers of four models to the prompts of Arena-Hard, under a permissive licence
(`training/prior.md`). Predictions come from predictors that were not trained on the prompt.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from headway.core.estimate import SizeEstimate
from headway.prediction.learning.cuts import Cuts, cut_answers
from headway.prediction.learning.examples import Examples, load_answers, load_folder
from headway.prediction.learning.training import train
from headway.prediction.models.artefact import save_refinement

OUT = Path(__file__).parents[1] / "src/headway/prediction/data/refinement.npz"
MODELS = (
    "gpt-3.5-turbo-0125",
    "llama-3-8b-instruct",
    "llama-3-70b-instruct",
    "qwen2.5-72b-instruct",
)
FOLDS = 5


def predicted(examples: Examples) -> list[SizeEstimate]:
    """Predicted length of every answer, by a predictor that was not trained on its prompt."""
    fold_of = np.random.default_rng(0).permutation(len(examples)) % FOLDS
    estimates: dict[int, SizeEstimate] = {}
    for fold in range(FOLDS):
        predictor = train("a model", [examples.rows(fold_of != fold)])
        back = np.flatnonzero(fold_of == fold)
        predictions = predictor.predict([examples.prompts[number] for number in back])
        estimates |= {n: p.estimate for n, p in zip(back.tolist(), predictions, strict=True)}
    return [estimates[number] for number in range(len(examples))]


def answers_of(folder: Path, model: str) -> Cuts:
    """Every answer of `model` in `folder`, cut at several lengths."""
    examples = load_folder(folder, model)
    answers = load_answers(folder, model)
    return cut_answers(examples.prompts, answers, examples.lengths, predicted(examples))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    folder = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "text" / "arena_hard_v0.1"
    everything = Cuts.joined([answers_of(folder, model) for model in MODELS])
    save_refinement(everything.fit(), options.out)
    print(f"{len(everything.left_tokens)} unfinished answers")
    print(f"{options.out.stat().st_size / 1e6:.1f} MB in {options.out}")


if __name__ == "__main__":
    main()
