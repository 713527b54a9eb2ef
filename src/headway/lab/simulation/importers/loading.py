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
    format_of,
)
from headway.lab.simulation.local_copies import located
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.trace_file import read_trace

TIME_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
MOST_RPS = 1000.0
"""Requests per second that no cluster had over a whole trace: more are a wrong unit of time."""
FEW = 10
"""Requests that are too few for that."""


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
FORMATS = (*STATED, *BARE, SERVEGEN)
"""Their names."""


def load_trace(
    path: Path,
    *,
    kind: str = "",
    time_unit: str = "",
    mend: bool = False,
    seed: int = 0,
    most: int = 0,
) -> Trace:
    """Read a trace in any of the known formats; its first request arrives at 0.

    Args:
        path: the file or folder.
        kind: one of FORMATS; empty: detect it.
        time_unit: of times that are bare numbers, one of TIME_UNITS_S; empty: as published.
        mend: see `read_trace`.
        seed: of requests that are drawn from statistics.
        most: as many of those are enough; 0: all.

    Raises:
        SimulationError: it is in none of them, or cannot be used.
    """
    path = located(path)
    if kind and kind not in FORMATS:
        raise SimulationError(f"no format {kind!r}; there are {', '.join(FORMATS)}")
    if time_unit and time_unit not in TIME_UNITS_S:
        raise SimulationError(f"no unit of time {time_unit!r}; there are {', '.join(TIME_UNITS_S)}")
    kind = kind or format_of(path, bool(time_unit))
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
    if len(trace) < FEW or not trace.span_s or len(trace) / trace.span_s <= MOST_RPS:
        return
    raise SimulationError(
        f"{path} would be {len(trace) / trace.span_s:,.0f} requests per second if its times are in "
        f"{unit}, more than any cluster had; what are they in? make a trace of it with `headway "
        f"trace convert --time-unit`, one of {', '.join(TIME_UNITS_S)}"
    )
