"""What a prediction costs, on one core: prompts that nobody has seen, alone and in batches of 32.

    OPENBLAS_NUM_THREADS=1 HEADWAY_DATA=../shared/data python bench/prediction_cost.py

The predictor that ships, and one that was trained on the flask prompts of this set with the other
as its base, as the gateway's own are. Both have read 2,000 other prompts before: words are looked
up once. Times are medians over prompts or batches of about one length.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

import numpy as np

from claims import Claim, publish
from headway.prediction.learning.examples import load_folder
from headway.prediction.learning.training import train_on_log
from headway.prediction.models.artefact import shipped_stack
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.stack import Stack
from headway.prediction.texts.features import FeatureMaker
from headway.prediction.texts.prompt import Prompt

SETS = ("alpaca52k_vicuna20k", "flask", "just_eval", "alpaca_eval", "gpteacher_gpt4")
LENGTHS = ((50, 110), (200, 360), (480, 640))
"""Characters, least and most, of the prompts that are measured together."""
KNOWN = 2000
MEASURED = 640
BATCH = 32
BAR_ALONE_MS, BAR_BATCH_MS = 0.5, 0.1


def drawn(data: Path) -> list[Prompt]:
    """All prompts, each text once, in an order of no meaning."""
    texts = sorted(
        {prompt.text for name in SETS for prompt in load_folder(data / name, "").prompts}
    )
    return [Prompt(texts[number]) for number in np.random.default_rng(0).permutation(len(texts))]


def with_base(data: Path, base: Stack) -> Stack | EncodedStack:
    target = "llama2_chat_70b"
    examples = load_folder(data / "flask", target).answered()
    features = FeatureMaker().of(examples.prompts)
    return train_on_log(target, "flask", features, examples.lengths, base).model


def ms_per_prompt(model: Stack | EncodedStack, prompts: Sequence[Prompt], at_once: int) -> float:
    spent_ms = []
    for begin in range(0, len(prompts), at_once):
        batch = prompts[begin : begin + at_once]
        start_s = time.perf_counter()
        model.scores(batch)
        spent_ms.append(1000.0 * (time.perf_counter() - start_s) / len(batch))
    return median(spent_ms)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("results/prediction_cost.json"))
    options = parser.parse_args()
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "text"
    shipped = shipped_stack()
    models = {"shipped": shipped, "with a base": with_base(data, shipped)}
    os.sched_setaffinity(0, {0})  # training may have both
    prompts = drawn(data)
    known, rest = prompts[:KNOWN], prompts[KNOWN:]
    shipped.scores(known)
    claims, rows = [], []
    for least, most in LENGTHS:
        alike = [prompt for prompt in rest if least <= len(prompt.text) < most]
        share = min(MEASURED, len(alike) // (2 * len(models)) // BATCH * BATCH)
        for number, (name, model) in enumerate(models.items()):
            own = alike[2 * number * share : 2 * (number + 1) * share]  # seen by nobody else
            alone_ms = ms_per_prompt(model, own[:share], 1)
            batch_ms = ms_per_prompt(model, own[share:], BATCH)
            characters = mean(len(prompt.text) for prompt in own)
            what = f"{name}, {characters:.0f} characters"
            claims.append(Claim(f"{what}: alone, ms", alone_ms, BAR_ALONE_MS))
            claims.append(Claim(f"{what}: in batches of {BATCH}, ms", batch_ms, BAR_BATCH_MS))
            rows.append({"model": name, "characters": characters, "prompts": share})
    return publish(claims, {"rows": rows}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
