"""`headway runs`: what runs there are, and what can be done with them; `headway approve`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.journal import JournalAddress, with_journal
from headway.cli.run import DEFAULT_URL, Url, show_end, work_on

if TYPE_CHECKING:
    from headway.workflows.journal.journal import Journal
    from headway.workflows.journal.rows import RunRow, StepRow

RunId = Annotated[str, typer.Argument(help="Its id, or how it begins.", metavar="RUN")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ABOUT = 2000
"""Characters of what a question is about that a terminal shows."""


def list_(
    state: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    most: Annotated[int, typer.Option("--most", help="How many, the newest first.", min=1)] = 20,
    as_json: AsJson = False,
    journal: JournalAddress = None,
) -> None:
    """List runs, the newest first."""
    from headway.workflows.journal.rows import RunState

    try:
        states = [RunState(one) for one in state or []]
    except ValueError as error:
        known = ", ".join(RunState)
        wrong = str(error).partition(" is not ")[0]
        raise Failure(f"no run is {wrong}; the states of runs are {known}", BAD_CONFIG) from None
    rows = with_journal(
        journal, lambda opened: opened.runs(states=states, workflow=workflow, most=most)
    )
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        print("There are no such runs; `headway run FILE` starts one.")
    for row in rows:
        began = datetime.fromtimestamp(row.created_at).strftime("%Y-%m-%d %H:%M:%S")
        print(f"{row.id}  {began}  {row.state:9}  {row.workflow}{_remark(row)}")


def show(
    run: RunId,
    as_json: AsJson = False,
    prices: Annotated[
        Path | None,
        typer.Option(
            envvar="HEADWAY_PRICES_FILE",
            help="YAML with prices of a million tokens: MODEL: {input: 0.15, output: 0.60}.",
        ),
    ] = None,
    journal: JournalAddress = None,
) -> None:
    """Show a run: its steps as a tree, with times, tokens and errors, and what it cost."""
    row, steps = with_journal(journal, lambda opened: _with_steps(opened, run))
    if as_json:
        kept = {"run": asdict(row), "steps": [asdict(one) for one in steps.values()]}
        print(json.dumps(kept, indent=2))
        return
    from rich.console import Console

    from headway.cli.run_progress import tree

    console = Console()
    console.print(tree(row, steps, time.time()), soft_wrap=True)
    tokens = [(one.prompt_tokens or 0, one.output_tokens or 0) for one in steps.values()]
    if any(map(any, tokens)):
        given, made = (sum(column) for column in zip(*tokens, strict=True))
        print(f"{given} prompt tokens, {made} output tokens{_cost(steps.values(), prices)}")
    if row.state != "finished" and _remark(row):
        print(_remark(row).removeprefix(": "))
    elif row.output_json is not None:
        print(json.dumps(json.loads(row.output_json), indent=2, ensure_ascii=False))


def logs(
    run: RunId,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the run ends.")
    ] = False,
    journal: JournalAddress = None,
) -> None:
    """Print a line for each step of a run that began to wait or ended."""
    from headway.cli.run_progress import Progress

    async def work(opened: Journal) -> RunRow:
        progress = Progress(sys.stdout, as_tree=False)
        while True:
            row, steps = await opened.outline(run)
            progress.show(row, {step.path: step for step in steps})
            if not follow or row.state.ended or row.state == "blocked":
                return row
            await asyncio.sleep(0.5)

    row = with_journal(journal, work)
    print(f"{row.id}: {row.state}{_remark(row)}")


def cancel(run: RunId, journal: JournalAddress = None) -> None:
    """Cancel a run, and the runs that it started."""
    row = with_journal(journal, lambda opened: opened.cancel(run))
    print(f"{row.id}: {row.state if row.state.ended else 'is being cancelled'}")


def resume(
    file: Annotated[Path, typer.Argument(help="The file that defines its workflow.")],
    run: RunId,
    url: Url = DEFAULT_URL,
    journal: JournalAddress = None,
) -> None:
    """Go on with a run in this process, as `headway run` does; failed steps run again."""
    from headway.workflows.catalog import Catalog, load
    from headway.workflows.errors import WorkflowError

    try:
        catalog = Catalog(load(file))
    except WorkflowError as error:
        raise Failure(error, BAD_CONFIG) from None

    async def work(opened: Journal) -> RunRow:
        row = await opened.run(run)
        if {row.workflow, row.root_workflow}.isdisjoint(one.name for one in catalog):
            catalog.named(row.workflow)  # says which ones the file has
        if row.state in ("failed", "cancelled", "blocked"):
            row = await opened.again(row.id, None, None)
        return await work_on(opened, catalog, row, url)

    show_end(with_journal(journal, work))


def retry(
    run: RunId,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="This step runs again, and all after it."),
    ] = None,
    on_new: Annotated[
        Path | None,
        typer.Option(
            "--on-new", metavar="FILE", help="Continue on the workflow as this file defines it."
        ),
    ] = None,
    journal: JournalAddress = None,
) -> None:
    """Make a run that failed, was cancelled or is blocked ready for a worker again."""

    async def work(opened: Journal) -> RunRow:
        row = await opened.run(run)
        definition = None
        if on_new is not None:
            from headway.workflows.catalog import Catalog, load

            catalog = Catalog(load(on_new))
            definition = catalog.definition(catalog.named(row.workflow))
        return await opened.again(row.id, from_, definition)

    row = with_journal(journal, work)
    print(f"{row.id} is ready: a worker takes it, or `headway runs resume FILE {row.id}`")


def prune(
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", help="Since they ended.", min=0)
    ],
    journal: JournalAddress = None,
) -> None:
    """Delete runs that ended long ago, with their steps; the keys of events stay known."""
    from headway.workflows import retention

    before = time.time() - older_than * retention.DAY_S
    deleted = with_journal(journal, lambda opened: retention.prune(opened, before))
    print(f"Deleted {deleted} runs")


def approve(
    run: Annotated[str | None, typer.Argument(help="The run that asks; none: list all.")] = None,
    step: Annotated[str | None, typer.Argument(help="The step, if it asks several.")] = None,
    choose: Annotated[str | None, typer.Option(help="One of the choices.")] = None,
    edit: Annotated[str | None, typer.Option(help="What was to be edited, as JSON.")] = None,
    reject: Annotated[str | None, typer.Option(help="Say no, and why.", metavar="WHY")] = None,
    by: Annotated[str | None, typer.Option(help="Who answers; by default the user.")] = None,
    journal: JournalAddress = None,
) -> None:
    """Answer what a run asks a person; without arguments, list all that is asked."""

    async def work(opened: Journal) -> StepRow | None:
        asked = await opened.questions()
        if run is None:
            for one in asked:
                print("\n".join(asked_of(one)))
            if not asked:
                print("Nobody is asked anything.")
            return None
        row = await opened.run(run)
        mine = [one for one in asked if one.run == row.id and step in (None, one.path)]
        if len(mine) > 1:
            paths = ", ".join(one.path for one in mine)
            raise Failure(f"run {row.id} asks several things; name the step: {paths}")
        path = mine[0].path if mine else step
        if path is None:
            below = {one.run for one in asked if one.run.startswith(f"{row.id}.")}
            asks = f"; {', '.join(sorted(below))}, which it started, asks" if below else ""
            raise Failure(f"run {row.id} asks nothing; it is {row.state}{asks}")
        text = _answer(mine[0].question_json if mine else None, choose, edit, reject)
        return await opened.answer(row.id, path, text, by or _user())

    answered = with_journal(journal, work)
    if answered is not None:
        print(f"{answered.run} {answered.path}: answered by {answered.answered_by}")


def asked_of(step: StepRow) -> list[str]:
    """The lines that show a question: where it is asked, its choices, and what it is about."""
    from headway.workflows.question import Question

    question = Question.from_json(step.question_json or "")
    choices = f" ({', '.join(question.choices)})" if question.choices else ""
    lines = [f"{step.run} {step.path}: {question.text}{choices}"]
    if question.about is not None:
        about = json.dumps(question.about, ensure_ascii=False)
        lines.append(f"    {about if len(about) <= ABOUT else about[:ABOUT] + '…'}")
    return lines


def _answer(
    question_json: str | None, choose: str | None, edit: str | None, reject: str | None
) -> str:
    from headway.workflows.question import Question

    question = Question.of(question_json)
    if reject is not None:
        return question.reject(reject)
    value: Any = choose
    if edit is not None:
        try:
            value = json.loads(edit)
        except ValueError:
            value = edit
    return question.accept(value)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


async def _with_steps(journal: Journal, run: str) -> tuple[RunRow, dict[str, StepRow]]:
    row = await journal.run(run)
    return row, await journal.steps(row.id)


def _cost(steps: Iterable[StepRow], file: Path | None) -> str:
    from headway.prices.file import read_prices
    from headway.prices.tokens import PriceError
    from headway.workflows.prices import cost_of

    if file is None:
        return ""
    try:
        cost, unknown = cost_of(steps, read_prices(file))
    except PriceError as error:
        raise Failure(error, BAD_CONFIG) from None
    without = f", without {', '.join(sorted(unknown))}, which {file} lacks" if unknown else ""
    return f", cost {cost:.6f}{without}"


def _remark(row: RunRow) -> str:
    from headway.workflows.errors import sentence

    if row.error_json:
        return f": {sentence(row.error_json)}"
    return f": {row.why}" if row.why else ""
