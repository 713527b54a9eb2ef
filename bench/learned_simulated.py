"""What learned lengths are worth to each policy, without the noise of the machine.

    HEADWAY_DATA=../shared/data python bench/learned_simulated.py [--first LOG] [--second LOG]

One run of `bench/learned.py` says little: the machine is at half its speed for minutes, and near
saturation a few per cent of throughput decide. Here both days run once on the real engine, for
their prompts and lengths (20 minutes; or `--first` and `--second` are the request logs of such
days). Then the second day is simulated, with the scheduler of the gateway, under what a predictor
trained on the first day says of its prompts: many draws of its requests, all at once and as Poisson
streams, the same for every policy.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from claims import Claim, publish
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.comparison import ORACLE, Contender, Scenario, compare
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import capacity_rps
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.site import Site
from headway.lab.simulation.table import cells_of
from headway.lab.simulation.trace import Trace
from learned import add_options, learn, prompts_of, recorded_day

PROFILE = "smollm2-135m-2-cores"
POLICIES = ("fcfs", "sjf", "srpt", "trail", "ltr", "gittins", ORACLE)
CLAIMED = ("ltr", "gittins")


def drawn(day: Trace, count: int, capacity: float, load: float, seed: int) -> Trace:
    """Some requests of `day` in any order, as a Poisson stream; at a `load` of 0 all at once."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(day))[:count]
    gaps_s = rng.exponential(1.0 / (load * capacity), len(chosen)) if load else np.zeros(count)
    at_once = day.arriving(np.zeros(len(day)))  # in which any order is one of arrival
    return at_once.rows(chosen).arriving(np.cumsum(gaps_s))


def table_of(result: SimulationResult) -> Results:
    """That of `headway simulate`, and what the least and the best draw gained."""
    headings, rows = cells_of(result)
    for label, cells in zip(result.runs, rows, strict=True):
        gains = [result.gain(label, run.seed) or 0.0 for run in result.runs[label]]
        cells.append(f"{min(gains):.0%} to {max(gains):.0%}")
    return Results([*headings, "by draw"], rows)


def worst_wait_s(result: SimulationResult, label: str) -> float:
    """Of all draws."""
    return max(run.measures.wait_s.max for run in result.runs[label])


def claims_of(result: SimulationResult, name: str, bound_s: float) -> list[Claim]:
    """What the policies must achieve, over all draws."""
    claims = []
    for label in CLAIMED:
        gain, waited_s = result.gain(label) or 0.0, worst_wait_s(result, label)
        throughput = median(
            one.measures.throughput_tokens_per_s / fcfs.measures.throughput_tokens_per_s
            for one, fcfs in zip(result.runs[label], result.runs["fcfs"], strict=True)
        )
        claims += [
            Claim(f"{name}: {label}, oracle gain captured", gain, 0.75, at_most=False),
            Claim(f"{name}: {label}, throughput / fcfs", throughput, 0.98, at_most=False),
            Claim(f"{name}: {label}, worst wait in s", waited_s, bound_s),
        ]
    return claims


def recorded(options: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """The request logs of both days, on the real engine where there is none yet."""
    learned_from, tested_on = prompts_of(options)
    first, second = options.first or folder / "first.db", options.second or folder / "second.db"
    for log, prompts in ((first, learned_from), (second, tested_on[: options.second_day])):
        if not log.exists():
            asyncio.run(recorded_day(prompts, options, log))
    return first, second


def measure(options: argparse.Namespace, folder: Path) -> int:
    first, second = recorded(options, folder)
    learn(first, folder / "learned.npz", shuffled=False)
    day, site = load_trace(second), Site("engine", load_profile(PROFILE), options.slots)
    capacity = capacity_rps(day, [site])
    bound = TierSettings(max_wait_s=options.max_wait)
    settings = SchedulerSettings(policy="fcfs", tiers=dict.fromkeys(Tier, bound))
    prediction = f"predictor:{folder / 'learned.npz'}@{second}"
    contenders = {label: Contender.parse(label, prediction) for label in POLICIES}
    claims: list[Claim] = []
    details: dict[str, object] = {}
    for load in map(float, options.loads.split(",")):
        traces = [
            drawn(day, options.requests, capacity, load, seed) for seed in range(options.draws)
        ]
        scenario = Scenario(traces, [site], settings, Slo())
        result = SimulationResult(compare(scenario, contenders), {"load": load})
        name = f"load {load:g}" if load else "all at once"
        print(f"{name}:")
        show(table_console(), table_of(result))
        claims += claims_of(result, name, options.max_wait)
        details[name] = result.to_json()
    return publish(claims, details, options.json)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--first", type=Path, help="request log of the first day; else it is run")
    parser.add_argument("--second", type=Path, help="the same of the second")
    parser.add_argument("--loads", default="0,0.9,1.2", help="0: all at once")
    parser.add_argument("--draws", type=int, default=32, help="of the second day's requests")
    parser.add_argument("--requests", type=int, default=200, help="of each draw")
    parser.add_argument("--second-day", type=int, default=400, help="requests to draw from")
    parser.add_argument("--json", type=Path, default=Path("results/learned_simulated.json"))
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        return measure(options, Path(folder))


if __name__ == "__main__":
    raise SystemExit(main())
