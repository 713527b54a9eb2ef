"""The `headway` command. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from headway import __version__
from headway.cli.config import show
from headway.cli.exit import Failure
from headway.cli.key import new
from headway.cli.predictor import evaluate, explain, info, refit, train
from headway.cli.serve import serve


def application(command: str | None) -> typer.Typer:
    """The command line, of which `command` is the one that will run.

    The options of `bench` are declared beside the load generator, which takes a while to
    import: without need it stands in the list with its name only.
    """
    app = _typer("A scheduler for LLM work: who runs, and who waits.")
    app.command()(serve)
    if command == "bench":
        from headway.loadtest.command import bench

        app.command()(bench)
    else:
        app.command("bench", help="Compare policies, or load a server that runs.")(version)
    app.add_typer(_group("Look at the settings.", show), name="config")
    app.add_typer(_group("Make API keys.", new), name="key")
    predictors = _group("Train and test predictors of output length.", train, refit, info, explain)
    predictors.command("eval")(evaluate)
    app.add_typer(predictors, name="predictor")
    app.command()(version)
    return app


def version() -> None:
    """Print the version."""
    print(f"headway {__version__}")


def _typer(text: str) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def _group(text: str, *commands: Callable[..., None]) -> typer.Typer:
    group = _typer(text)
    for command in commands:
        group.command()(command)
    group.callback()(lambda: None)  # keeps a group of one command a group
    return group


def main() -> None:
    """Run the command line: one line on stderr and an exit code for everything foreseen."""
    try:
        application(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name="headway")
    except Failure as failure:
        print(f"headway: {failure}", file=sys.stderr)
        raise SystemExit(failure.code) from None
    except BrokenPipeError:  # `headway … | head`
        sys.stderr.close()
        raise SystemExit(1) from None
