"""How well output lengths are predicted, on prompts that were not trained on.

    HEADWAY_DATA=../shared/data python bench/prediction.py [--only flask,zeroeval_gsm]
    HEADWAY_DATA=../shared/data python bench/prediction.py --matrix

Prompts are split by a hash of their text, so that one text is on one side in every set. Sets of
more than 5,000 prompts are tested on one fifth, smaller ones on each fifth in turn; the numbers
are means over the folds. The stack learns from all columns of its folder, as `headway predictor
train --data` does; `+ others` from all other sets, too; `encoder + others` is `--encoder`,
fine-tuned for the targets of all rows at once, half an hour a fold and only if asked for
(`--models`): on the first fold, or on as many as `--folds` says. Never from a prompt of the fold
that is tested, in whichever set it stands.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from zlib import crc32

import numpy as np
from rich.console import Console
from rich.table import Table

from claims import Claim, publish
from headway.prediction.learning.cuts import Cuts, cut_answers
from headway.prediction.learning.evaluation import evaluate, kendall_tau
from headway.prediction.learning.examples import Examples, load_answers, load_folder
from headway.prediction.learning.finetuning import Lesson, fine_tune
from headway.prediction.learning.training import blended_on, steadied, train
from headway.prediction.live.history import LengthHistory, Origin, template_hash
from headway.prediction.models.artefact import shipped_refinement
from headway.prediction.models.bins import quantile
from headway.prediction.models.encoder import Encoder
from headway.prediction.models.kernel import KernelRidge
from headway.prediction.models.predictor import Predictor
from headway.prediction.models.ridge import HashedRidge
from headway.prediction.models.stack import KERNEL_ALPHA, RIDGE_ALPHA
from headway.prediction.models.trees import Trees
from headway.prediction.texts.features import FeatureMaker
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.words import normal

FOLDS = 5
ONE_FOLD_FROM = 5000
PARTS = (0.25, 0.5, 0.75)
"""Of an answer, at which what is left of it is predicted."""
WITH_ANSWERS = ("alpaca_eval",)
"""Sets whose answers are there as text, and on which the refinement was not trained."""
SLOW = "encoder + others"
"""Takes half an hour a fold: only if asked for."""
LISTS_OF = 32
"""Prompts in one list of the listwise ranker, as in Fu et al."""


@dataclass(frozen=True)
class Row:
    """One set, whose lengths are predicted, and what is asked of it."""

    data: str
    target: str
    bar: float


ROWS = (
    Row("alpaca52k_vicuna20k", "vicuna_7b_t0.0", 0.60),
    Row("alpaca52k_vicuna20k", "text_davinci_003", 0.65),
    Row("gpteacher_gpt4", "gpt-4", 0.74),
    Row("flask", "llama2_chat_70b", 0.55),
    Row("alpaca_eval", "Meta-Llama-3-8B-Instruct", 0.45),
    Row("arena_hard_v0.1", "llama-3-8b-instruct", 0.38),
    Row("zeroeval_gsm", "Meta-Llama-3-8B-Instruct", 0.40),
)
SETS = (
    "alpaca52k_vicuna20k",
    "alpaca_eval",
    "arena_hard_v0.1",
    "flask",
    "just_eval",
    "gpteacher_gpt4",
    "halueval_chatgpt",
    "zeroeval_gsm",
    "zeroeval_math_l5",
    "zeroeval_crux",
)

Scores = tuple[np.ndarray, Predictor | None]


def folds_of(examples: Examples) -> np.ndarray:
    """The fold of each prompt, by its text."""
    return np.array([crc32(normal(prompt.text).encode()) % FOLDS for prompt in examples.prompts])


def history(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    """No model: mean length of prompts that begin alike, leaning on the mean of all."""
    known = LengthHistory()
    for prompt, length in zip(own.prompts, own.lengths.tolist(), strict=True):
        if np.isfinite(length):
            known.observe(_origin(prompt), int(length))
    means = [known.estimate(_origin(prompt), None).mean for prompt in test.prompts]
    return np.array(means), None


def _origin(prompt: Prompt) -> Origin:
    return Origin("m", "t", template_hash(prompt.text))


def tfidf_ridge(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    own = own.answered()
    maker = FeatureMaker()
    logs = np.log2(own.lengths).astype(np.float32)
    ridge = HashedRidge.fit(
        maker.of(own.prompts).buckets, logs, np.ones(len(own), np.float32), RIDGE_ALPHA
    )
    return ridge.scores(maker.of(test.prompts).buckets), None


def kernel_ridge(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    own = own.answered()
    maker = FeatureMaker.learned_from(own.prompts)
    logs = np.log2(own.lengths).astype(np.float32)
    dense = maker.of(own.prompts).dense
    weights = np.ones(len(own), np.float32)
    kernel = KernelRidge.fit(dense, logs - logs.mean(), weights, KERNEL_ALPHA)
    return kernel.scores(maker.of(test.prompts).dense), None


def boosting(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    own = own.answered()
    maker = FeatureMaker.learned_from(own.prompts)
    logs = np.log2(own.lengths).astype(np.float32)
    trees = Trees.fit(
        maker.of(own.prompts).dense,
        logs,
        np.ones(len(own), np.float32),
        rounds=400,
        learning_rate=0.05,
        leaves=31 if len(own) >= ONE_FOLD_FROM else 7,
    )
    return trees.scores(maker.of(test.prompts).dense), None


def lambdamart(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    """Listwise: gradients of NDCG over random lists; grades are tenths of the lengths."""
    import lightgbm

    own = own.answered()
    maker = FeatureMaker.learned_from(own.prompts)
    order = np.random.default_rng(0).permutation(len(own))
    grades = np.argsort(np.argsort(own.lengths)) * 10 // len(own)
    lists = [LISTS_OF] * (len(own) // LISTS_OF) + [len(own) % LISTS_OF]
    data = lightgbm.Dataset(
        maker.of([own.prompts[number] for number in order]).dense,
        grades[order],
        group=[size for size in lists if size],
    )
    parameters = {"objective": "lambdarank", "learning_rate": 0.05, "num_leaves": 15}
    more = {"lambdarank_truncation_level": LISTS_OF, "feature_fraction": 0.4, "verbose": -1}
    booster = lightgbm.train(parameters | more | {"label_gain": list(range(10))}, data, 300)
    return np.asarray(booster.predict(maker.of(test.prompts).dense)), None


def listmle(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    """Listwise: the likelihood of each list's order (Xia et al. 2008), as in Fu et al."""
    import lightgbm

    own = own.answered()
    maker = FeatureMaker.learned_from(own.prompts)
    lists = len(own) // LISTS_OF
    chosen = np.random.default_rng(0).permutation(len(own))[: lists * LISTS_OF]
    lengths = own.lengths[chosen].reshape(lists, LISTS_OF)
    longest_first = np.argsort(-lengths, axis=1)

    def gradients(scores: np.ndarray, _: object) -> tuple[np.ndarray, np.ndarray]:
        ordered = np.take_along_axis(scores.reshape(lists, LISTS_OF), longest_first, axis=1)
        weights = np.exp(ordered - ordered.max(axis=1, keepdims=True))
        not_yet = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
        first = np.cumsum(1.0 / not_yet, axis=1) * weights - 1.0
        second = (np.cumsum(1.0 / not_yet, axis=1) * weights) - np.cumsum(
            1.0 / not_yet**2, axis=1
        ) * weights**2
        gradient, hessian = np.empty_like(first), np.empty_like(first)
        np.put_along_axis(gradient, longest_first, first, axis=1)
        np.put_along_axis(hessian, longest_first, np.maximum(second, 1e-3), axis=1)
        return gradient.ravel(), hessian.ravel()

    data = lightgbm.Dataset(maker.of([own.prompts[number] for number in chosen]).dense)
    parameters = {"objective": gradients, "learning_rate": 0.05, "num_leaves": 15}
    more = {"feature_fraction": 0.4, "verbose": -1, "max_depth": 7}
    booster = lightgbm.train(parameters | more, data, 300)
    return np.asarray(booster.predict(maker.of(test.prompts).dense)), None


def stack(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    predictor = train("target", [own])
    return predictor.model.scores(test.prompts), predictor


def stack_and_others(own: Examples, others: Sequence[Examples], test: Examples) -> Scores:
    predictor = train("target", [own, *others])
    return predictor.model.scores(test.prompts), predictor


MODELS: dict[str, Callable[[Examples, Sequence[Examples], Examples], Scores]] = {
    "history": history,
    "TF-IDF + ridge": tfidf_ridge,
    "kernel ridge": kernel_ridge,
    "boosting": boosting,
    "LambdaMART": lambdamart,
    "ListMLE": listmle,
    "stack": stack,
    "stack + others": stack_and_others,
}


@cache
def encoders(data: Path, fold: int) -> list[Encoder]:
    """One for each row, fine-tuned on all sets but the fold and what blends are found on."""
    own = [load_folder(data / row.data, row.target) for row in ROWS]
    held_back = set()
    for examples in own:
        learned = examples.rows((folds_of(examples) != fold) & np.isfinite(examples.lengths))
        chosen = learned.rows(blended_on(learned.prompts))
        held_back |= {normal(prompt.text) for prompt in chosen.prompts}
    lessons = []
    for name in SETS:
        examples = load_folder(data / name, "")
        allowed = [normal(prompt.text) not in held_back for prompt in examples.prompts]
        chosen = (folds_of(examples) != fold) & np.array(allowed)
        targets = [
            steadied(of_row.rows(chosen)) if row.data == name else np.full(chosen.sum(), np.nan)
            for row, of_row in zip(ROWS, own, strict=True)
        ]
        rows = examples.rows(chosen)
        logs = np.column_stack([*targets, np.log2(rows.others)])
        lessons.append(Lesson([prompt.text for prompt in rows.prompts], logs))
    return fine_tune(lessons, target_models=len(ROWS))


def details_of(
    predictor: Predictor, test: Examples, answers: Sequence[str | None]
) -> dict[str, float]:
    """What else a predictor achieves on a fold; `answers` are the texts of its examples."""
    found = evaluate(predictor, test)
    details = {
        name: float(getattr(found, name))
        for name in ("pairwise_accuracy", "coverage_80", "mae_tokens", "ms_per_prompt")
    }
    if any(answers):
        predicted = [prediction.estimate for prediction in predictor.predict(test.prompts)]
        for part in PARTS:
            cut = cut_answers(test.prompts, answers, test.lengths, predicted, [part])
            details |= {f"{name} at {part:.0%}": e for name, e in remaining_errors(cut).items()}
    return details


def remaining_errors(cut: Cuts) -> dict[str, float]:
    """Mean absolute error of the tokens still to come.

    static: the predicted median less what came. survived: the median given that so much came.
    refined: by the text as well, with the refinement that ships (trained on other prompts).
    """
    octaves = shipped_refinement().octaves(cut.standings)
    errors: dict[str, list[float]] = {"static": [], "survived": [], "refined": []}
    for estimate, came, left, longer in zip(
        cut.predicted, cut.output_tokens.tolist(), cut.left_tokens.tolist(), octaves, strict=True
    ):
        survived = estimate.after(came).quantile(0.5)
        errors["static"].append(abs(max(0.0, quantile(estimate, 0.5) - came) - left))
        errors["survived"].append(abs(survived - left))
        errors["refined"].append(abs(survived * 2.0**longer - left))
    return {name: mean(values) for name, values in errors.items()}


def without_target(source: Examples) -> Examples:
    """The same, where the target's lengths are those of one model among others."""
    table = np.column_stack([source.lengths, source.others])
    return Examples(source.name, source.prompts, np.full(len(source), np.nan), table)


def measure(
    row: Row, data: Path, models: Sequence[str], folds_of_encoder: int
) -> tuple[dict[str, float], dict[str, float], float]:
    """Tau by model, what else the last model achieves, and the seconds its training took."""
    own = load_folder(data / row.data, row.target)
    others = [
        without_target(load_folder(data / name, row.target)) for name in SETS if name != row.data
    ]
    answers: list[str | None] = [None] * len(own)
    if row.data in WITH_ANSWERS:
        answers = load_answers(data / row.data, row.target)
    fold_of_own = folds_of(own)
    folds_of_others = [folds_of(other) for other in others]
    taus: dict[str, list[float]] = {name: [] for name in models}
    details: dict[str, list[float]] = {}
    seconds = []
    for fold in range(1 if len(own) >= ONE_FOLD_FROM else FOLDS):
        tested = np.flatnonzero((fold_of_own == fold) & np.isfinite(own.lengths))
        test, answers_of_test = own.rows(tested), [answers[number] for number in tested]
        learned = own.rows(fold_of_own != fold)
        learned_others = [
            other.rows(folds != fold) for other, folds in zip(others, folds_of_others, strict=True)
        ]
        for name in models:
            if name == SLOW and fold >= folds_of_encoder:
                continue
            encoder = encoders(data, fold)[ROWS.index(row)] if name == SLOW else None
            start_s = time.perf_counter()
            if encoder is None:
                scores, predictor = MODELS[name](learned, learned_others, test)
            else:
                predictor = train("target", [learned, *learned_others], encoder=encoder)
                scores = predictor.model.scores(test.prompts)
            taus[name].append(kendall_tau(scores, test.lengths))
            if predictor is not None:
                seconds.append(time.perf_counter() - start_s)
                for key, value in details_of(predictor, test, answers_of_test).items():
                    details.setdefault(f"{name}: {key}", []).append(value)
    return (
        {name: mean(values) for name, values in taus.items()},
        {key: mean(values) for key, values in details.items()},
        max(seconds, default=0.0),
    )


def claims_of(row: Row, taus: dict[str, float], details: dict[str, float]) -> list[Claim]:
    """The best of the models that were asked for, against the bar of the row."""
    best = next((n for n in (SLOW, "stack + others", "stack") if n in taus), None)
    if best is None:
        return []
    claims = [Claim(f"tau, {row.data}, {row.target}, {best}", taus[best], row.bar, at_most=False)]
    for part in PARTS:
        static = details.get(f"{best}: static at {part:.0%}")
        if static:
            ratio = details[f"{best}: refined at {part:.0%}"] / static
            claims.append(Claim(f"rest at {part:.0%}, {row.data}, refined / static", ratio, 1))
    return claims


def transfer(data: Path) -> tuple[Table, list[dict[str, object]]]:
    """Tau of a predictor trained on one set's prompts, on the prompts of every other."""
    sets = [load_folder(data / row.data, row.target) for row in ROWS]
    names = [f"{row.data}, {row.target}" for row in ROWS]
    table = Table("trained on", *map(str, range(1, len(ROWS) + 1)), title="tested on")
    found: list[dict[str, object]] = []
    for number, learned in enumerate(sets):
        predictor = train("target", [learned.rows(folds_of(learned) != 0)])
        taus = []
        for tested in sets:
            held_back = tested.rows(folds_of(tested) == 0).answered()
            scores = predictor.model.scores(held_back.prompts)
            taus.append(kendall_tau(scores, held_back.lengths))
        table.add_row(f"{number + 1} {names[number]}", *(f"{tau:.2f}" for tau in taus))
        found.append({"trained_on": names[number], "tau": dict(zip(names, taus, strict=True))})
        print(names[number], [round(tau, 2) for tau in taus], flush=True)
    return table, found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="sets, by name; all if empty")
    parser.add_argument("--models", default=",".join(MODELS), help=f"or {SLOW!r}")
    parser.add_argument("--folds", type=int, default=1, help="of the encoder")
    parser.add_argument("--matrix", action="store_true", help="train on one set, test on all")
    parser.add_argument("--json", type=Path, default=Path("results/prediction.json"))
    options = parser.parse_args()
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "text"
    if options.matrix:
        matrix, found = transfer(data)
        Console(width=160).print(matrix)
        return publish([], {"transfer": found}, options.json)
    models = options.models.split(",")
    table = Table("data", "target", *models, "bar", title="Kendall's tau, prompts held back")
    claims, everything = [], []
    for row in ROWS:
        if options.only and row.data not in options.only.split(","):
            continue
        taus, details, seconds = measure(row, data, models, options.folds)
        table.add_row(
            row.data, row.target, *(f"{taus[name]:.3f}" for name in models), f"{row.bar:.2f}"
        )
        claims += claims_of(row, taus, details)
        everything.append({"data": row.data, "target": row.target, "tau": taus} | details)
        print(row.data, row.target, {k: round(v, 3) for k, v in taus.items()}, flush=True)
        print("   ", {k: round(v, 3) for k, v in details.items()}, f"{seconds:.0f} s", flush=True)
    Console(width=160).print(table)
    return publish(claims, {"rows": everything}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
