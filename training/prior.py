"""Train the shipped predictor: typical answer lengths of prompts, for any model.

    HEADWAY_DATA=../shared/data python training/prior.py

Uses only sets under permissive licences (`training/prior.md`). The target is the geometric mean
length over all models that answered a prompt.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from headway.prediction.learning.examples import Examples, load_folder
from headway.prediction.learning.training import train
from headway.prediction.models.artefact import save

OUT = Path(__file__).parents[1] / "src/headway/prediction/data/prior.npz"
SETS = (
    "gpteacher_gpt4",
    "halueval_chatgpt",
    "arena_hard_v0.1",
    "zeroeval_gsm",
    "zeroeval_math_l5",
    "zeroeval_crux",
)
TARGET = "a typical chat model"


def typical_lengths(folder: Path) -> Examples:
    """The prompts of a set, with the geometric mean length over all models."""
    read = load_folder(folder, target="")
    typical = 2.0 ** np.nanmean(np.log2(read.others), axis=1)
    return Examples(read.name, read.prompts, typical.round(), np.empty((len(read), 0)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "text"
    trained = train(TARGET, [typical_lengths(data / name) for name in SETS])
    save(trained, options.out)
    card = trained.card
    print(f"{card.examples} examples, tau {card.kendall_tau:.3f} held back")
    print(f"{options.out.stat().st_size / 1e6:.1f} MB in {options.out}")


if __name__ == "__main__":
    main()
