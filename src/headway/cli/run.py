"""`headway run`: starts a run of a workflow and works on it until it ends."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.journal import JournalAddress, with_journal

if TYPE_CHECKING:
    from headway.workflows.definition import Workflow
    from headway.workflows.journal.journal import Journal
    from headway.workflows.journal.rows import RunRow

Url = Annotated[
    str,
    typer.Option(
        envvar="HEADWAY_URL", help="The gateway that answers its calls of models.", metavar="URL"
    ),
]
DEFAULT_URL = "http://127.0.0.1:8080"


def run(
    file: Annotated[Path, typer.Argument(help="Python with @headway.workflow, or YAML.")],
    workflow: Annotated[
        str | None, typer.Option(help="Which one, if the file has several.")
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="NAME=VALUE", help="An input; @FILE: all of them, from JSON."
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Of the event: a second start with it shows the first run.")
    ] = None,
    url: Url = DEFAULT_URL,
    journal: JournalAddress = None,
) -> None:
    """Run a workflow; whatever ends this command, `headway runs resume` goes on with the run."""
    from headway.workflows.catalog import Catalog, load
    from headway.workflows.errors import WorkflowError
    from headway.workflows.starting import parsed, start

    try:
        found = load(file)
        catalog = Catalog(found)
        chosen = _chosen(catalog, [one for one in found if one.source.file], workflow, file)
    except WorkflowError as error:
        raise Failure(error, BAD_CONFIG) from None
    texts, given = _inputs(input_ or [])

    async def work(opened: Journal) -> RunRow:
        row = await start(opened, catalog, chosen, given | parsed(chosen, texts), key=key)
        if not row.state.ended:
            again = f"headway runs resume {file} {row.id}"
            print(f"Run {row.id}; if it stops: {again}", file=sys.stderr)
        return await work_on(opened, catalog, row, url)

    show_end(with_journal(journal, work))


async def work_on(journal: Journal, catalog: Any, row: RunRow, url: str) -> RunRow:
    """The run once it has ended, in this process or another; shows its progress on stderr."""
    import os
    import signal

    from headway.cli.run_progress import Progress
    from headway.workflows.llm import Gateway
    from headway.workflows.worker import Worker

    # SIGTERM ends it as ctrl-C does, which lets steps that run end.
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, signal.raise_signal, signal.SIGINT
    )
    gateway = Gateway(url, os.environ.get("HEADWAY_API_KEY"))
    worker = asyncio.create_task(Worker(journal, catalog, gateway, only=row.id).run())
    try:
        with Progress(sys.stderr) as progress:
            while not worker.done():
                row, steps = await journal.outline(row.id)
                progress.show(row, {step.path: step for step in steps})
                if row.state.ended or row.state == "blocked":
                    return await journal.run(row.id)
                await asyncio.wait([worker], timeout=0.25)
        await worker
        raise AssertionError("a worker ends only when it is cancelled")
    finally:
        worker.cancel()
        await asyncio.wait([worker])
        await gateway.close()


def show_end(row: RunRow) -> None:
    """Print what a run returned. Raises Failure if it has not."""
    from headway.workflows.errors import sentence

    if row.state == "finished":
        value = json.loads(row.output_json or "null")
        print(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
        return
    if row.state == "blocked":
        raise Failure(f"run {row.id} is blocked: {row.why}")
    why = sentence(row.error_json) if row.error_json else "no reason is known"
    raise Failure(
        f"run {row.id} {'was ' if row.state == 'cancelled' else ''}{row.state}: {why} "
        f"(`headway runs show {row.id}`)"
    )


def _chosen(
    catalog: Any, found: list[Workflow[..., Any]], name: str | None, file: Path
) -> Workflow[..., Any]:
    from headway.workflows.errors import WorkflowError

    if name is not None:
        chosen: Workflow[..., Any] = catalog.named(name)
        return chosen
    own = [one for one in found if Path(one.source.file).resolve() == file.resolve()] or found
    if len(own) > 1:
        names = ", ".join(one.name for one in own)
        raise WorkflowError(f"{file} has several workflows: choose one with --workflow ({names})")
    return own[0]


def _inputs(options: list[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Inputs as texts, and those of files. Raises Failure."""
    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    for option in options:
        if option.startswith("@"):
            try:
                read = json.loads(Path(option[1:]).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise Failure(f"--input {option}: {error}", BAD_CONFIG) from None
            if not isinstance(read, dict):
                raise Failure(f"--input {option} has to hold a JSON object", BAD_CONFIG)
            values |= read
            continue
        name, equals, text = option.partition("=")
        if not equals:
            raise Failure(f"--input {option}: write NAME=VALUE or @FILE", BAD_CONFIG)
        texts[name] = text
    return texts, values
