"""Loads a trace, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers import (
    agentcgroup,
    aiperf,
    azure,
    bailian,
    burstgpt,
    guidellm,
    llmservingsim,
    lmcache,
    mooncake,
    mooncake_csv,
    request_log,
    servegen,
    sessions,
    sharegpt,
    splitwise,
    vidur,
    vllm_bench,
)
from headway.lab.simulation.importers.detection import (
    LOG,
    MOONCAKE,
    MOONCAKE_CSV,
    OWN,
    SERVEGEN,
    SHAREGPT,
    format_of,
)
from headway.lab.simulation.local_copies import located
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.trace_file import read_trace

TIME_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
MOST_RPS = 1000.0
"""Requests per second that no cluster had over a whole trace: more are a wrong unit of time."""
LEAST_RPS = 1.0 / 200.0
"""Requests per second of a trace that nobody would record: fewer are a wrong unit of time."""
FEW = 10
"""Requests that are too few for either."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A format whose times are bare numbers."""

    load: Callable[[Path, float], Trace]
    """With the seconds of a unit of its times."""
    unit: str
    """As published, one of TIME_UNITS_S."""


STATED: dict[str, Callable[[Path], Trace]] = {
    OWN: read_trace,
    LOG: request_log.load,
    "azure": azure.load,
    MOONCAKE_CSV: mooncake_csv.load,
    "sessions": sessions.load,
    "lmcache": lmcache.load,
    "agentcgroup": agentcgroup.load,
    "llmservingsim": llmservingsim.load,
    "vllm-bench": vllm_bench.load,
    "guidellm": guidellm.load,
    "aiperf": aiperf.load,
}
"""Formats whose times are dates, or have their unit in their names or documents."""
BARE = {
    MOONCAKE: Timed(mooncake.load, "ms"),
    "bailian": Timed(bailian.load, "s"),
    "burstgpt": Timed(burstgpt.load, "s"),
    "splitwise": Timed(splitwise.load, "s"),
    "vidur": Timed(vidur.load, "s"),
}
FORMATS = (*STATED, *BARE, SERVEGEN, SHAREGPT)
"""Their names."""


def load_trace(
    path: Path,
    *,
    kind: str = "",
    time_unit: str = "",
    mend: bool = False,
    seed: int = 0,
    most: int = 0,
    tokenizer: Path | None = None,
    arrivals: str = "",
) -> Trace:
    """Read a trace in any of the known formats; its first request arrives at 0.

    Args:
        path: the file or folder.
        kind: one of FORMATS; empty: detect it.
        time_unit: of times that are bare numbers, one of TIME_UNITS_S; empty: as published.
        mend: see `read_trace`.
        seed: of requests that are drawn from statistics.
        most: as many of those are enough; 0: all.
        tokenizer, arrivals: of texts that have neither times nor numbers of tokens, see
            `sharegpt.load`.

    Raises:
        SimulationError: it is in none of them, or cannot be used.
    """
    path = located(path)
    if kind and kind not in FORMATS:
        raise SimulationError(f"no format {kind!r}; there are {', '.join(FORMATS)}")
    if time_unit and time_unit not in TIME_UNITS_S:
        raise SimulationError(f"no unit of time {time_unit!r}; there are {', '.join(TIME_UNITS_S)}")
    kind = kind or format_of(path, bool(time_unit))
    if kind != SHAREGPT and (tokenizer is not None or arrivals):
        raise SimulationError(
            f"{path} has times and numbers of tokens; leave --tokenizer and --arrivals out, and "
            f"take `headway trace scale --arrivals` for other times"
        )
    if kind in BARE:
        timed = BARE[kind]
        trace = timed.load(path, TIME_UNITS_S[time_unit or timed.unit])
        if not time_unit:
            _check_rate(trace, path, timed.unit)
    elif time_unit:
        raise SimulationError(
            f"times of the format {kind} have their units; leave --time-unit out for {path}"
        )
    elif kind == SERVEGEN:
        trace = servegen.load(path, seed, most)
    elif kind == SHAREGPT:
        trace = sharegpt.load(path, tokenizer, arrivals, seed)
    elif kind == OWN:
        trace = read_trace(path, mend=mend)
    else:
        trace = STATED[kind](path)
    return trace.from_zero()


def load_traces(path: Path, seeds: int, most: int = 0) -> list[Trace]:
    """One trace per seed if requests are drawn from statistics, else the recorded one.

    Raises:
        SimulationError: as `load_trace`.
    """
    kind = format_of(located(path))
    numbers = range(seeds if kind == SERVEGEN else 1)
    return [load_trace(path, kind=kind, seed=seed, most=most) for seed in numbers]


def _check_rate(trace: Trace, path: Path, unit: str) -> None:
    if len(trace) < FEW or not trace.span_s:
        return
    rate = len(trace) / trace.span_s
    if LEAST_RPS <= rate <= MOST_RPS:
        return
    if rate > MOST_RPS:
        what = f"{rate:,.0f} requests per second"
        but = "more than any cluster had"
    else:
        what = f"one request in {1.0 / rate:,.0f} seconds"
        but = "fewer than anybody records"
    raise SimulationError(
        f"{path} would be {what} if its times are in {unit}, {but}; what are they in? make a trace "
        f"of it with `headway trace convert --time-unit`, one of {', '.join(TIME_UNITS_S)}"
    )
