"""`headway tune`: which batching settings suit a model?"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.progress import Progress, TimeRemainingColumn

from headway.cli.exit import fail
from headway.cli.models import backing_of
from headway.cli.output_files import check_writable, results_console, write_json
from headway.cli.progress import progress_bar
from headway.config.models import ModelConfig
from headway.lab.report.figures import figures
from headway.lab.report.terminal import show
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.generated import LENGTHS
from headway.lab.simulation.site_list import names_in
from headway.lab.simulation.slo import NOTHING, seconds
from headway.lab.simulation.trace_file import opened
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.front import objective_of, recommended, tightest_s, unmet
from headway.lab.tuning.measuring import lengths_to_measure, measured, sizes_to_measure
from headway.lab.tuning.report import report_html
from headway.lab.tuning.result import advice, fit_line, to_json, unasked
from headway.lab.tuning.sweep import BatchingName, Conditions, Point, grid, sweep
from headway.lab.tuning.table import durations_table, points_table
from headway.lab.tuning.traffic import ARRIVALS, Traffic
from headway.lab.tuning.work import GivenItems, MadeTexts, Work
from headway.machine import usable_cores
from headway.models.items import items_of
from headway.models.length import length_of
from headway.models.signature import BadItem, ModelFailure
from headway.models.tokens import Tokens

LENGTHS_OF_TEXTS = "lognormal:64@1"
"""Tokens, by default."""

SHORTEST_TEXT = 3
"""Tokens: one, plus those that the tokenizer adds around it."""

DELAYS = (0.0, 0.5, 1.0, 4.0)
"""Tried by default, as multiples of the time that a batch of one takes."""


def tune(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="As PATH in `headway serve --model NAME=PATH`: all-MiniLM-L6-v2, a folder, a "
            "file, FILE.py:FUNCTION; or NAME=URL of a server.",
        ),
    ],
    slo: Annotated[
        str,
        typer.Option(
            help="SLO of the recommendation: p99=50ms,mean=20ms; or a limit of each item and the "
            "share within it, latency=50ms,goodput=95%."
        ),
    ] = "",
    items: Annotated[
        Path | None,
        typer.Option(
            help="File of items to run, one JSON value per line, as /v1/models/NAME:predict takes "
            "them; default: generated texts."
        ),
    ] = None,
    lengths: Annotated[str, typer.Option(help=f"Tokens of generated texts: {LENGTHS}.")] = (
        LENGTHS_OF_TEXTS
    ),
    arrivals: Annotated[str, typer.Option(help=f"How items arrive: {ARRIVALS}.")] = "poisson",
    loads: Annotated[
        str, typer.Option(help="Loads to try, as shares of the model's capacity.")
    ] = "0.2,0.5,0.7,0.8,0.9,0.95",
    rate: Annotated[
        float,
        typer.Option(min=0, help="Arriving items per second, instead of --loads; 0: use --loads."),
    ] = 0.0,
    policies: Annotated[
        str, typer.Option(help="Batching policies to try.")
    ] = "constant,adaptive,optimal",
    sizes: Annotated[
        str, typer.Option(help="Batch size limits to try with `constant`.")
    ] = "1,2,4,8,16,32",
    delays: Annotated[
        str,
        typer.Option(
            help="Delays to try with `constant`, as 0,2ms,10ms; default: by the model's speed."
        ),
    ] = "",
    instances: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads of each; 0: the machine's cores, divided.")
    ] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements of each batch.")] = 5,
    requests: Annotated[
        int, typer.Option(min=100, help="Arriving items for each setting and load.")
    ] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    processes: Annotated[int, typer.Option(min=0, help="Parallel runs; 0: one per core.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers here; - for the terminal.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with plots here.")] = None,
) -> None:
    """Measure a model, try batching settings on virtual time, and recommend one for an SLO.

    The batcher is the gateway's own; batches take as long as they did on the model.
    """
    console = results_console(json_file)
    name, _, path = model.rpartition("=")
    config = ModelConfig(
        name=name or re.sub(r"\W+", "-", Path(path).stem).strip("-") or "model",
        path=path,
        instances=instances,
        threads=threads or None,
    )
    try:
        check_writable({"--report": report, "--json": json_file})
        objective = objective_of(slo) if slo else NOTHING
        asked_loads = _numbers(loads, "loads", "0.5,0.9")
        if asked_loads[-1] >= 1.0 and not rate:  # report a mistake before minutes of work
            raise SimulationError(
                f"a load is a share of what the model answers at most, and {asked_loads[-1]:g} is "
                "not below 1: no queue would come to an end; write --loads 0.5,0.9"
            )
        names = _policies(policies)
        asked_sizes = _sizes(sizes)
        asked_delays = _delays_s(delays)
        given = items_in(items) if items is not None else None
        if given is not None and lengths != LENGTHS_OF_TEXTS:
            raise SimulationError("--items have lengths of their own; leave --lengths out")
        traffic = Traffic.made(arrivals, lengths, requests, seed)
        with progress_bar(console, TimeRemainingColumn()) as bar:
            durations, traffic = asyncio.run(
                _measured(config, given, traffic, asked_sizes[-1], repeats, seed, bar)
            )
            alone_s = durations.batch_s(1, float(traffic.lengths.mean()))
            settings = grid(
                names,
                asked_sizes,
                asked_delays or [_round(alone_s * times) for times in DELAYS],
                varied=traffic.varied,
                slo_s=tightest_s(objective),
            )
            task = bar.add_task("trying settings", total=None)
            swept = sweep(
                Conditions(durations, traffic, instances, seed, objective.request.latency_s),
                settings,
                asked_loads,
                rate or None,
                processes=processes or usable_cores(),
                progress=lambda done, of: bar.update(task, completed=done, total=of),
            )
        best = recommended(swept.points, objective) if objective.targets else None
        lines = _configuration(config, best) if best is not None else []
        asked = {
            "model": path,
            "instances": str(instances),
            "items": str(items or f"texts, {lengths} tokens"),
            "arrivals": arrivals,
            "capacity": f"{figures(swept.capacity_per_s)} items/s",
            "items that came": f"{requests} for each point",
            "SLO": str(objective) or "none",
            "seed": str(seed),
        }
        if best is not None:
            result = advice(best, objective)
        elif objective.targets:
            result = unmet(swept.points, objective)
        else:
            result = unasked(swept.points)
        fitted = fit_line(durations, swept)
        remarks = [result[0].upper() + result[1:], fitted]
        if report is not None:
            page = report_html(swept, durations, best, remarks, lines, asked)
            report.write_text(page, encoding="utf-8")
        if json_file is not None:
            write_json(to_json(asked, durations, swept, best, remarks), json_file)
        show(console, durations_table(durations))
        console.print(fitted, markup=False, highlight=False, soft_wrap=True)
        show(console, points_table(swept.points, best))
        if objective.targets and best is None:
            raise SimulationError(result)
    except (SimulationError, ModelFailure, BadItem, OSError) as error:
        fail("tune", error)
    ending = [result] if best is None else [f"{result} In headway.yaml:", *lines]
    console.print("\n".join(ending), markup=False, highlight=False, soft_wrap=True)


async def _measured(
    config: ModelConfig,
    given: Sequence[Any] | None,
    traffic: Traffic,
    largest: int,
    repeats: int,
    seed: int,
    bar: Progress,
) -> tuple[MeasuredDurations, Traffic]:
    """What batches take, and the traffic with the lengths that the model has for it.

    Raises:
        ModelFailure: it cannot be loaded, or not be run.
        BadItem: it does not take the items.
        SimulationError: items have to be given.
    """
    task = bar.add_task("loading the model", total=None)
    backing = backing_of(config)
    try:
        signature = await backing.load()
        tokens = Tokens(signature) if signature.takes_text else None
        work: Work
        if given is not None:
            items = await items_of(given, signature, tokens)
            of_items = [length_of(item, signature, config.length_unit) for item in items]
            work, traffic = GivenItems(items, of_items), traffic.with_lengths(of_items, seed)
        elif tokens is not None:
            work = await MadeTexts.of(signature, tokens)
            traffic = traffic.cut(SHORTEST_TEXT, signature.max_tokens)
        else:
            raise SimulationError(
                "this model takes no texts, so name what it is to run: --items FILE with a JSON "
                "value a line, as /v1/models/NAME:predict takes them"
            )
        sizes = sizes_to_measure(largest)
        lengths = lengths_to_measure(traffic.lengths.tolist())
        bar.update(task, description="measuring", total=(repeats + 1) * len(sizes) * len(lengths))
        durations = await measured(
            backing,
            work,
            sizes,
            lengths,
            at_once=config.most_instances,
            repeats=repeats,
            progress=lambda: bar.advance(task),
        )
    finally:
        await backing.unload()
    bar.remove_task(task)
    return durations, traffic


def items_in(file: Path) -> list[Any]:
    """The JSON values in a file, compressed or not. Raises SimulationError."""
    if not file.is_file():
        raise SimulationError(f"there is no file {file}; write a JSON value a line into it")
    found = []
    with opened(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise SimulationError(f"{file}, line {number}, is no JSON ({error})") from None
    if not found:
        raise SimulationError(f"{file} has no items; write a JSON value a line")
    return found


def _configuration(config: ModelConfig, best: Point) -> list[str]:
    """The lines of headway.yaml for it."""
    facts: dict[str, object] = {"name": config.name, "path": config.path}
    if config.most_instances > 1:
        facts["instances"] = config.most_instances
    if config.threads is not None:
        facts["threads"] = config.threads
    facts |= best.setting.options()
    ModelConfig.model_validate(facts)
    first, *others = (f"{name}: {json.dumps(value)}" for name, value in facts.items())
    return ["models:", f"  - {first}", *(f"    {line}" for line in others)]


def _numbers(text: str, option: str, example: str) -> list[float]:
    """Numbers above 0, ascending. Raises SimulationError."""
    try:
        found = sorted({float(part) for part in names_in(text)})
    except ValueError:
        found = []
    if not found or not 0.0 < found[0] <= found[-1] < float("inf"):
        raise SimulationError(f"cannot read --{option} {text!r}; write {example}")
    return found


def _policies(text: str) -> list[BatchingName]:
    """Raises SimulationError."""
    known = {name: name for name in get_args(BatchingName)}
    unknown = [name for name in names_in(text) if name not in known]
    if unknown or not names_in(text):
        raise SimulationError(
            f"no batching {', '.join(unknown) or 'is named'!r}; there are {', '.join(known)}"
        )
    return [known[name] for name in names_in(text)]


def _sizes(text: str) -> list[int]:
    found = _numbers(text, "sizes", "1,8,32")
    if any(size % 1 for size in found):
        raise SimulationError(f"cannot read --sizes {text!r}; write 1,8,32")
    return list(map(int, found))


def _delays_s(text: str) -> list[float]:
    return [0.0 if part == "0" else seconds(part) for part in names_in(text)]


def _round(delay_s: float) -> float:
    """To one significant digit: nobody sets 3.718 ms."""
    return float(f"{delay_s:.0e}")
