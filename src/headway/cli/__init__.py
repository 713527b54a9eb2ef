"""The `headway` command. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from headway import __version__
from headway.cli.check import check
from headway.cli.config import show
from headway.cli.exit import INTERRUPTED, Failure, sentence_of
from headway.cli.key import hash_, list_, new, revoke
from headway.cli.predictor import evaluate, explain, info, refit, train
from headway.cli.serve import serve
from headway.redaction import masked

LATER = {
    "logs": ("headway.cli.logged_requests", "Show the newest requests of the request log."),
    "costs": ("headway.cli.costs", "Show what requests cost."),
    "bench": ("headway.cli.bench", "Compare policies, or load a server that runs."),
    "simulate": (
        "headway.cli.simulate",
        "Simulate traffic under one policy after another, on virtual time.",
    ),
    "advise": ("headway.cli.advise", "Find the policy and settings that serve traffic best."),
    "plan": ("headway.cli.plan", "Find how many engines meet an SLO."),
    "calibrate": (
        "headway.cli.calibrate",
        "Measure a live server, and write its profile for the simulator.",
    ),
    "run": ("headway.cli.run", "Run a workflow that survives crashes."),
    "worker": ("headway.cli.worker", "Work on runs of workflows until it is stopped."),
    "tune": ("headway.cli.tune", "Find the batching settings that suit a model."),
}
"""Commands whose module is slow to import: the module, and the help text."""
HIDDEN = {
    "replay": "headway.cli.replay",
    "what-if": "headway.cli.what_if",
    "check-answers": "headway.cli.check_answers",
}
"""Commands for programs: not in the help text."""
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""What is raised for a command line that cannot be read: Click's, or that of its copy in Typer."""
GROUPS = {
    "trace": ("headway.cli.trace", "Inspect, convert and generate traces."),
    "batch": ("headway.cli.batch", "Run files of requests as batches, and look at them."),
    "prompts": ("headway.cli.prompts", "Look at registered prompts, test and publish them."),
}
"""The same for groups of commands."""
RUNS = "Look at runs of workflows, and cancel, resume and retry them."


def application(command: str | None) -> typer.Typer:
    """The command line; only `command` is imported in full.

    Modules of some commands are slow to import: other commands are listed by name only.
    """
    app = _typer("A scheduler for LLM work.")
    app.callback()(_options)
    app.command()(serve)
    app.command()(check)
    for name, (module, text) in LATER.items():
        if name == command:
            app.command()(getattr(import_module(module), name))
        else:
            app.command(name, help=text)(version)
    if command in HIDDEN:
        hidden = import_module(HIDDEN[command])
        app.command(hidden=True)(getattr(hidden, command.replace("-", "_")))
    for name, (module, text) in GROUPS.items():
        if name == command:
            app.add_typer(_group(text, *import_module(module).COMMANDS), name=name)
        else:
            app.command(name, help=text)(version)
    if command in ("runs", "approve"):
        from headway.cli import runs as of_runs

        runs = (of_runs.list_, of_runs.show, of_runs.logs)
        changes = (of_runs.cancel, of_runs.resume, of_runs.retry, of_runs.prune)
        app.add_typer(_group(RUNS, *runs, *changes), name="runs")
        app.command()(of_runs.approve)
    else:
        app.command("runs", help=RUNS)(version)
        app.command("approve", help="Answer what a run asks a person.")(version)
    app.add_typer(_group("Look at the settings.", show), name="config")
    app.add_typer(_group("Make, list and revoke API keys.", new, revoke, list_, hash_), name="key")
    predictors = _group("Train and test predictors of output length.", train, refit, info, explain)
    predictors.command("eval")(evaluate)
    app.add_typer(predictors, name="predictor")
    app.command()(version)
    return app


def version() -> None:
    """Print the version."""
    print(f"headway {__version__}")


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """A scheduler for LLM work."""


def _typer(text: str) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def _group(text: str, *commands: Callable[..., None]) -> typer.Typer:
    group = _typer(text)
    for command in commands:
        group.command(command.__name__.rstrip("_"))(command)
    group.callback()(lambda: None)  # keeps a group of one command a group
    return group


def _refuse(error: Any) -> NoReturn:
    """End with one line about a command line that cannot be read, or with help if it is empty."""
    context = error.ctx
    message = error.format_message()
    if context is None or message.startswith("Usage:"):
        error.show()
        raise SystemExit(error.exit_code) from None
    path = context.command_path
    listed = getattr(context.command, "list_commands", None)
    if message.startswith("No such command") and listed is not None:
        message = f"{message.rstrip('.')}; there are {', '.join(listed(context))}"
    else:
        message = f"{message.rstrip('.')}; `{path} --help` lists what there is"
    print(f"{path}: {masked(message[:1].lower() + message[1:])}", file=sys.stderr)
    raise SystemExit(error.exit_code) from None


def main() -> None:
    """Run the command line: one line on stderr and an exit code for every expected error."""
    try:
        run = application(sys.argv[1] if len(sys.argv) > 1 else None)
        code = run(prog_name="headway", standalone_mode=False) or 0
        if code == INTERRUPTED:  # Typer makes that of KeyboardInterrupt
            raise KeyboardInterrupt
        raise SystemExit(code)
    except USAGE_ERROR as error:
        _refuse(error)
    except (typer.Abort, KeyboardInterrupt):
        print("headway: interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except Failure as failure:
        print(f"headway: {masked(str(failure))}", file=sys.stderr)
        raise SystemExit(failure.code) from None
    except BrokenPipeError:  # `headway … | head`
        sys.stderr.close()
        raise SystemExit(1) from None
    except OSError as error:
        print(f"headway: {masked(sentence_of(error))}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to write cannot be written
        raise SystemExit(1) from None
