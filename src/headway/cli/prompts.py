"""`headway prompts`: look at registered prompts, compare, test and publish them."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from headway.cli.configuration import read_configuration
from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.options import Assignments, ConfigFile
from headway.cli.output_files import results_console, write_json
from headway.extras import install_extra

try:
    from headway.prompts.cases import FILE as CASES
    from headway.prompts.cases import read_cases
    from headway.prompts.errors import PromptError
    from headway.prompts.prompt import Prompt
    from headway.prompts.published import PRODUCTION, check_alias, publish
    from headway.prompts.registry import Entry, Registry, read_registry
    from headway.prompts.trial import Result, Trial, run
except ModuleNotFoundError as error:
    raise Failure(f"prompts need {error.name}: {install_extra('prompts')}", BAD_CONFIG) from None

T = TypeVar("T")

FOLDER = Path("prompts")
"""Where prompts are if no setting says it."""

Folder = Annotated[
    Path | None,
    typer.Option(
        "--prompts",
        metavar="FOLDER",
        help="The prompts; else the setting `prompts`, else ./prompts.",
    ),
]
Which = Annotated[
    str,
    typer.Argument(metavar="NAME[@VERSION]", help="A prompt; its version: a number or an alias."),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write all of it here; - for the terminal.")
]


def list_(
    prompts: Folder = None,
    json_file: JsonFile = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """List all prompts, with their versions, aliases, and what is wrong with them."""
    registry = _registry(prompts, config, assignments)
    table = _table("prompt", "versions", "default", "aliases", "description")
    for name, entry in registry.entries.items():
        latest = entry.versions.get(entry.default)
        table.add_row(
            name,
            ", ".join(map(str, sorted({*entry.versions, *entry.broken}))),
            str(entry.default),
            ", ".join(f"{alias} {number}" for alias, number in entry.published.aliases.items()),
            Text(latest.front.description if latest else ""),
        )
    console = results_console(json_file)
    if registry.entries:
        console.print(table)
    for problem in registry.problems:
        console.print(f"wrong: {problem}", markup=False, soft_wrap=True)
    if json_file is not None:
        listed = [_listed(entry) for entry in registry.entries.values()]
        write_json({"prompts": listed, "problems": list(registry.problems)}, json_file)
    if registry.problems:
        raise typer.Exit(1)


def show(
    which: Which,
    prompts: Folder = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Show one version: its file, its variables and settings, and whether it is published."""
    registry = _registry(prompts, config, assignments)
    entry, prompt = _found(registry, which)
    number = prompt.id.version
    aliases = [alias for alias, of in entry.published.aliases.items() if of == number]
    published = number in entry.published.sha256
    print(f"{prompt.id}: {_file(registry, prompt)}")
    print(f"sha256 {prompt.sha256}, {'published' if published else 'a draft'}", end="")
    print(f", {', '.join(aliases)}\n" if aliases else "\n")
    print(prompt.text.rstrip())


def render(
    which: Which,
    var: Annotated[
        list[str] | None,
        typer.Option("--var", metavar="NAME=VALUE", help="A variable; may be repeated."),
    ] = None,
    variables: Annotated[
        Path | None, typer.Option("--vars", metavar="FILE", help="Variables as a JSON object.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the body of a chat completion.")
    ] = False,
    prompts: Folder = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Fill in the variables of a prompt, and print what a model would get."""
    registry = _registry(prompts, config, assignments)
    _, prompt = _found(registry, which)
    rendered = _guarded(lambda: prompt.render(_values(var, variables)))
    if as_json:
        print(json.dumps(rendered.request, indent=1, ensure_ascii=False))
        return
    for name, value in rendered.settings.items():
        print(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    for message in rendered.messages:
        print(f"--- {message['role']}\n{message['content']}")


def diff(
    name: Annotated[str, typer.Argument(help="A prompt.")],
    one: Annotated[
        str, typer.Argument(metavar="[FROM]", help="A version; default: what requests get.")
    ] = "",
    other: Annotated[
        str, typer.Argument(metavar="[TO]", help="A version; default: the newest.")
    ] = "",
    prompts: Folder = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Show what differs between two versions: texts, variables, settings and tools."""
    registry = _registry(prompts, config, assignments)
    entry, before = _found(registry, f"{name}@{one}")
    newest = str(max((*entry.versions, *entry.broken)))
    _, after = _found(registry, f"{name}@{other or newest}")
    print(
        "".join(
            difflib.unified_diff(
                before.text.splitlines(keepends=True),
                after.text.splitlines(keepends=True),
                str(before.id),
                str(after.id),
            )
        ),
        end="",
    )


def promote(
    which: Which,
    to: Annotated[str, typer.Option(help="The alias that is moved there.")] = PRODUCTION,
    prompts: Folder = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Publish a version, and let an alias mean it from now on.

    Without a version it is the newest one. A published version must not change any more.
    """
    registry = _registry(prompts, config, assignments)
    name, _, version = which.partition("@")
    entry = _guarded(lambda: registry.entry(name))
    newest = max((*entry.versions, *entry.broken))
    _, prompt = _found(registry, f"{name}@{version or newest}")
    _guarded(lambda: check_alias(to, "--to"))
    folder = registry.folder / name
    try:
        before = _guarded(lambda: publish(folder, prompt, to))
    except OSError as error:
        raise Failure(f"{folder} cannot be written: {error.strerror}") from None
    was = "" if before in (None, prompt.id.version) else f", and was {name}@{before}"
    print(f"{name}@{to} is {prompt.id} now{was}; commit {folder / 'published.yaml'}")


def test(
    which: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME[@VERSION]]…", help="Default: all prompts that have tests."),
    ] = None,
    url: Annotated[
        str, typer.Option(help="A gateway, or another OpenAI-compatible server.")
    ] = "http://127.0.0.1:8080/v1",
    model: Annotated[
        str | None, typer.Option(help="Ask this model; default: the prompt's own.")
    ] = None,
    api_key: Annotated[
        str, typer.Option(envvar="OPENAI_API_KEY", help="API key for --url.", show_default=False)
    ] = "",
    json_file: JsonFile = None,
    prompts: Folder = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Run the cases in a prompt's tests.yaml against a model. Exit code 1: one of them failed."""
    if not url.startswith(("http://", "https://")):
        raise Failure(f"--url {url}: write http://HOST:PORT", BAD_CONFIG)
    registry = _registry(prompts, config, assignments)
    trials = _trials(registry, which or [])
    results = asyncio.run(run(trials, url, model=model, api_key=api_key))
    if results and not any(one.answered.reached for one in results):
        raise Failure(f"{results[0].failures[0]}; start it, or name another server with --url")
    failed = sum(bool(result.failures) for result in results)
    console = results_console(json_file)
    console.print(_results_table(results))
    if json_file is not None:
        write_json({"failed": failed, "results": [_as_json(one) for one in results]}, json_file)
    console.print(f"{len(results) - failed} of {len(results)} passed", highlight=False)
    if failed:
        raise typer.Exit(1)


def _registry(prompts: Path | None, config: Path | None, assignments: list[str] | None) -> Registry:
    settings = read_configuration({}, assignments, config).settings
    folder = prompts or settings.prompts or FOLDER
    return _guarded(lambda: read_registry(folder.expanduser()))


def _found(registry: Registry, which: str) -> tuple[Entry, Prompt]:
    """A prompt and the version that is meant by NAME[@VERSION]."""
    name, _, version = which.partition("@")
    return (
        _guarded(lambda: registry.entry(name)),
        _guarded(lambda: registry.prompt(name, version)),
    )


def _file(registry: Registry, prompt: Prompt) -> Path:
    return registry.folder / prompt.id.name / f"{prompt.id.version}.md"


def _values(var: list[str] | None, file: Path | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise Failure(f"{file} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise Failure(f"{file} is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise Failure(f"{file} must hold a JSON object, with a value for each variable")
    for assignment in var or ():
        name, equals, value = assignment.partition("=")
        if not equals:
            raise Failure(f"--var {assignment}: write it as NAME=VALUE", BAD_CONFIG)
        values[name] = value
    return values


def _trials(registry: Registry, which: list[str]) -> list[Trial]:
    trials: list[Trial] = []
    for one in which or list(registry.entries):
        _, prompt = _found(registry, one)
        folder = registry.folder / prompt.id.name
        cases = _guarded(partial(read_cases, folder))
        if cases is not None:
            trials += [Trial(prompt, case, cases.python) for case in cases.cases]
        elif which:
            raise Failure(f"{prompt.id.name} has no tests; write them in {folder / CASES}")
    if not trials:
        raise Failure(f"no prompt in {registry.folder} has a {CASES}")
    return trials


def _results_table(results: list[Result]) -> Table:
    table = _table("prompt", "case", "", "tokens", "s", "why")
    for one in results:
        answered = one.answered
        table.add_row(
            str(answered.trial.prompt.id),
            Text(answered.trial.case.name),
            Text("failed", "red") if one.failures else "passed",
            "" if answered.output_tokens is None else str(answered.output_tokens),
            f"{answered.took_s:.2f}",
            Text("\n".join(one.failures)),
        )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "why")
    return table


def _listed(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "versions": sorted({*entry.versions, *entry.broken}),
        "default": entry.default,
        "aliases": entry.published.aliases,
        "published": sorted(entry.published.sha256),
        "broken": {str(number): why for number, why in entry.broken.items()},
    }


def _as_json(result: Result) -> dict[str, object]:
    answered = result.answered
    return {
        "prompt": str(answered.trial.prompt.id),
        "case": answered.trial.case.name,
        "passed": not result.failures,
        "failures": list(result.failures),
        "answer": answered.answer,
        "output_tokens": answered.output_tokens,
        "took_s": round(answered.took_s, 3),
    }


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except PromptError as error:
        raise Failure(error) from None


COMMANDS = (list_, show, render, diff, promote, test)
