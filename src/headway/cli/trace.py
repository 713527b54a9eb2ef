"""`headway trace`: look at traces, and make one from another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer

from headway.cli.exit import fail
from headway.lab.report.figures import figures
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.generated import ARRIVALS, LENGTHS, Recipe
from headway.lab.simulation.importers.loading import FORMATS, TIME_UNITS_S, load_trace
from headway.lab.simulation.public_traces import PUBLIC_TRACES
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.trace_file import COLUMNS, TEXTS, write_trace
from headway.store.event_log import EventLogError, read_events
from headway.store.event_log import replay as replayed

Found = TypeVar("Found")
TraceFile = Annotated[Path, typer.Argument(help="A trace, in any known format.")]
Out = Annotated[Path, typer.Option(help="File to write: .csv, .csv.gz, .csv.zst or .parquet.")]
Kind = Annotated[
    str,
    typer.Option("--from", help=f"Format of the file; default: detected: {', '.join(FORMATS)}."),
]
TimeUnit = Annotated[
    str,
    typer.Option(
        help=f"Unit of times that are bare numbers: {', '.join(TIME_UNITS_S)}; default: as "
        "published in that format."
    ),
]


def info(trace: TraceFile, kind: Kind = "", time_unit: TimeUnit = "") -> None:
    """Show what a trace holds."""
    found = _guarded(lambda: load_trace(trace, kind=kind, time_unit=time_unit))
    for name, text in facts_of(found).items():
        print(f"{name:<20}{text}")


def convert(
    trace: TraceFile,
    out: Out,
    kind: Kind = "",
    time_unit: TimeUnit = "",
    mend: Annotated[
        bool,
        typer.Option(
            "--mend", help="Sort rows; drop those whose id came before, and those without output."
        ),
    ] = False,
    most_tokens: Annotated[
        int,
        typer.Option(min=0, help="Drop requests with more tokens of prompt and answer; 0: none."),
    ] = 0,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="tokenizer.json that counts the tokens of texts, as ShareGPT's; or its folder."
        ),
    ] = None,
    arrivals: Annotated[str, typer.Option(help=f"When such texts arrive: {ARRIVALS}.")] = "",
    seed: Annotated[
        int, typer.Option(help="Random seed for arrivals, and for requests drawn from statistics.")
    ] = 0,
) -> None:
    """Convert a trace to CSV or Parquet, one row per request.

    Columns are arrival_s, prompt_tokens and output_tokens, and others if known.
    """

    def run() -> Trace:
        found = load_trace(
            trace,
            kind=kind,
            time_unit=time_unit,
            mend=mend,
            seed=seed,
            tokenizer=tokenizer,
            arrivals=arrivals,
        )
        if most_tokens:
            fits = found.prompt_tokens + found.output_tokens <= most_tokens
            found = found.rows(np.flatnonzero(fits))
        return found

    _written(run, out)


def scale(
    trace: TraceFile,
    out: Out,
    faster: Annotated[float, typer.Option(help="Speed up arrivals by this factor.")] = 1.0,
    arrivals: Annotated[str, typer.Option(help=f"New arrivals instead: {ARRIVALS}.")] = "",
    seed: Annotated[int, typer.Option(help="Equal seeds draw equal arrivals.")] = 0,
) -> None:
    """Send the same requests faster, slower or at other times. Gaps within sessions stay."""

    def run() -> Trace:
        found = load_trace(trace)
        if arrivals:
            count = len(found)
            drawn = Recipe(arrivals, "fixed:1", "fixed:1", count).make(seed)
            found = found.arriving(drawn.arrival_s)
        return found.faster(faster)

    _written(run, out)


def sample(
    trace: TraceFile,
    out: Out,
    requests: Annotated[
        int, typer.Option(min=1, help="Number of requests; the last session may exceed it.")
    ] = 1000,
    seed: Annotated[
        int | None,
        typer.Option(help="Draw from the whole trace with this seed; default: take the first."),
    ] = None,
) -> None:
    """Take some of the requests; drawn requests arrive at the rate of the whole trace.

    Sessions are drawn whole.
    """

    def run() -> Trace:
        found = load_trace(trace, seed=seed or 0, most=requests if seed is None else 0)
        if seed is None or requests >= len(found):
            return found.first(requests)
        chosen = _drawn(found, requests, np.random.default_rng(seed))
        return found.rows(chosen).faster(len(found) / len(chosen))

    _written(run, out)


def _drawn(trace: Trace, requests: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the requests of sessions that are drawn until there are enough."""
    first, sizes = np.unique(trace.runs, return_counts=True)
    order = rng.permutation(len(first))
    enough = np.searchsorted(np.cumsum(sizes[order]), requests) + 1
    return np.flatnonzero(np.isin(trace.runs, first[order[:enough]]))


def generate(
    arrivals: Annotated[str, typer.Argument(help=f"When requests come: {ARRIVALS}.")],
    out: Out,
    prompt: Annotated[str, typer.Option(help=f"Prompt tokens: {LENGTHS}.")] = "lognormal:512@1",
    output: Annotated[
        str, typer.Option(help="Output tokens, in the same form.")
    ] = "lognormal:200@1",
    requests: Annotated[int, typer.Option(min=1, help="Number of requests.")] = 1000,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal traces.")] = 0,
) -> None:
    """Generate a trace from distributions."""
    _written(lambda: Recipe(arrivals, prompt, output, requests).make(seed), out)


def replay(
    events: Annotated[
        Path, typer.Argument(help="The event log of a gateway (setting `log.events`).")
    ],
) -> None:
    """Feed a gateway's event log to a new scheduler, and compare all decisions."""

    def run() -> tuple[int, list[str]]:
        decisions, different = 0, []
        for number, (event, then, now) in enumerate(replayed(list(read_events(events))), start=2):
            decisions += len(then)
            if then != now:
                different.append(
                    f"line {number}, at {event.now_s:.3f} s: {', '.join(then) or 'nothing'} then, "
                    f"{', '.join(now) or 'nothing'} now"
                )
        return decisions, different

    decisions, different = _guarded(run)
    for line in different:
        print(line)
    print(f"{decisions:,} decisions, {len(different):,} steps differ")
    if different:
        raise typer.Exit(1)


def fetch() -> None:
    """List public traces: what they hold, where they are, and their licence."""
    for source in PUBLIC_TRACES:
        print(f"{source.name}: {source.holds}\n  {source.address}\n  {source.licence}\n")


def facts_of(trace: Trace) -> dict[str, str]:
    """The lines of `headway trace info`."""
    gaps_s = np.diff(trace.arrival_s)
    spread = float(gaps_s.std() / gaps_s.mean()) if len(gaps_s) and gaps_s.mean() else 0.0
    facts = {"requests": f"{len(trace):,}", "arrivals": "all at once"}
    if trace.span_s:
        rate = len(trace) / trace.span_s
        facts["arrivals"] = f"over {trace.span_s:,.1f} s, {figures(rate)} a second"
        facts["gaps"] = f"coefficient of variation {spread:.2f} (1: Poisson)"
    if trace.left_out:
        facts["left out"] = f"{trace.left_out:,} without an answer"
    facts["prompt tokens"] = _spread_of(trace.prompt_tokens)
    facts["output tokens"] = _spread_of(trace.output_tokens)
    for name in ("tenants", "programs"):
        distinct = set(getattr(trace, name)) - {""}
        if distinct:
            facts[name] = f"{len(distinct):,}"
    if trace.prefix_hashes:
        blocks = [block for hashes in trace.prefix_hashes for block in hashes]
        seen = 1.0 - len(set(blocks)) / max(1, len(blocks))
        facts["prefix blocks"] = f"{len(blocks):,}, of which {seen:.0%} were seen before"
    if len(trace.after):
        facts["sent after another"] = f"{int((trace.after >= 0).sum()):,}"
    facts["columns"] = ", ".join(_columns_of(trace))
    return facts


def _columns_of(trace: Trace) -> list[str]:
    named = TEXTS | {"tier": "tiers"}
    return [name for name in COLUMNS if len(getattr(trace, named.get(name, name)))]


def _spread_of(values: np.ndarray) -> str:
    low, middle, high = np.quantile(values, (0.5, 0.9, 0.99)).tolist()
    return (
        f"mean {values.mean():,.0f}, p50 {low:,.0f}, p90 {middle:,.0f}, p99 {high:,.0f}, "
        f"most {values.max():,}"
    )


def _written(make: Callable[[], Trace], out: Path) -> None:
    trace = _guarded(make)
    _guarded(lambda: write_trace(trace, out))
    left_out = f"; {trace.left_out:,} without an answer are left out" if trace.left_out else ""
    print(f"{out}: {len(trace):,} requests over {trace.span_s:,.1f} s{left_out}")


def _guarded(action: Callable[[], Found]) -> Found:
    try:
        return action()
    except (SimulationError, EventLogError, OSError) as error:
        fail("trace", error)


COMMANDS = (info, convert, scale, sample, generate, replay, fetch)
