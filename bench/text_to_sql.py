"""Text-to-SQL runs with a deadline each, on unlike engines.

    python bench/text_to_sql.py [--quick]

A run links the schema, writes candidates side by side, executes each, repairs those that fail (up
to ten times), and votes. Lengths are log-normal, candidates fail at random, and questions differ in
how hard they are. The deadline of a policy is the tightest that 95% of the runs meet if all runs
have it, on a grid with steps of 2%. Costs of steps are learned from runs of another draw.

Ours, `slack`, has one queue for all engines, and counts all that a run still does against its
deadline; a run that can no longer be in time goes to the lowest tier, as under all that know
deadlines. `urgency` is HexGen's split of the deadline on that queue.
`fcfs` takes engines in turn; HexGen's rule assigns each call at once, by speed and work, and each
engine orders its own queue by urgency; its alpha is the best of ALPHAS on each draw, as its
authors choose it. EDF, and `run-fcfs`, share our queue.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.core.settings import SchedulerSettings
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.predictions import FromHistory, Predictions
from headway.lab.simulation.runs import MODEL, Learned, LearnedRuns, Runs
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace
from headway.prediction.live.history import LengthHistory, Origin

ENGINES = "llama-3.1-8b-a100,llama-3.1-8b-l40s,llama-3.1-8b-rtx4090"
SLOTS = 8
LOAD = 1.0
CANDIDATES = 3
REPAIRS = 10
STEPS = {
    "link": (6000, 300, 0.5),
    "candidate": (4000, 350, 0.6),
    "repair": (3000, 250, 0.6),
    "vote": (2500, 200, 0.5),
}
"""Prompt tokens, median output tokens, and the spread of their logarithm."""
EXECUTION_S = 0.3
ALPHAS = (0.2, 0.5, 0.8)
MET = 0.95
GRID, BEGIN, MISSED = 1.02, 1.2, 4
"""Deadlines are tried from BEGIN times what `run-fcfs` gives down by steps of GRID, until so many
in a row were missed."""
TURNS = "fcfs, round robin"
BARS = {TURNS: 1.4, "hexgen": 1.0, "edf": 1.0, "run-fcfs": 1.0}
OURS = "slack"


@dataclass(frozen=True)
class Contender:
    """A policy, its routing, and what becomes of a run that is too late."""

    policy: str
    routing: str = "shared"
    deadlines: bool = True


CONTENDERS = {
    TURNS: [Contender("fcfs", "round_robin", deadlines=False)],
    "fcfs": [Contender("fcfs", deadlines=False)],
    "run-fcfs": [Contender("run-fcfs", deadlines=False)],
    "edf": [Contender("edf")],
    "hexgen": [Contender("urgency", f"hexgen:{alpha}") for alpha in ALPHAS],
    OURS: [Contender("slack")],
    "urgency": [Contender("urgency")],
    "run-gittins": [Contender("run-gittins")],
}


def runs_of(count: int, rng: np.random.Generator) -> Trace:
    """So many runs as a Poisson stream, one a second in the mean."""
    rows: list[tuple[float, int, str, int, int, int, tuple[int, ...], float]] = []

    def call(at_s: float, run: int, step: str, after: int, joins: tuple[int, ...] = ()) -> int:
        kind = step.partition(" ")[0]
        prompt, median, spread = STEPS[kind]
        output = max(1, round(median * hard * rng.lognormal(0.0, spread)))
        prompt = max(1, round(prompt * rng.lognormal(0.0, 0.3)))
        gap_s = EXECUTION_S if kind in ("repair", "vote") else 0.0
        rows.append((at_s, run, step, prompt, output, after, joins, gap_s))
        return len(rows) - 1

    began_s = 0.0
    for run in range(count):
        began_s += rng.exponential(1.0)
        hard = rng.lognormal(0.0, 0.4)
        fails = min(0.9, 0.25 * hard)
        first = call(began_s, run, "link", -1)
        ends = []
        for candidate in range(CANDIDATES):
            last = call(began_s, run, f"candidate {candidate}", first)
            for _ in range(REPAIRS):
                if rng.random() > fails:
                    break
                last = call(began_s, run, f"repair {candidate}", last)
            ends.append(last)
        call(began_s, run, "vote", ends[-1], tuple(ends[:-1]))
    columns = list(zip(*rows, strict=True))
    return Trace(
        "text-to-SQL",
        np.array(columns[0]),
        np.array(columns[3]),
        np.array(columns[4]),
        programs=[f"run {run}" for run in columns[1]],
        steps=list(columns[2]),
        after=np.array(columns[5]),
        joins=list(columns[6]),
        gap_s=np.array(columns[7]),
    )


class Learnt(Predictions):
    """What a gateway has learned from the runs of another draw."""

    def __init__(self, trace: Trace, history: Trace) -> None:
        self._history = history
        lengths = LengthHistory()
        for program, tokens in zip(history.programs, history.output_tokens.tolist(), strict=True):
            lengths.observe(Origin(MODEL, "", 0, f"history {program}"), tokens)
        self._lengths = FromHistory(trace, lengths)

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        return self._lengths.predict(number)

    def finished(self, number: int) -> None:
        self._lengths.finished(number)

    def runs(self, trace: Trace, cost: CostModel) -> Runs:
        learned, history = Learned(), self._history
        ends_s: list[float] = []
        last = {program: number for number, program in enumerate(history.programs)}
        for number, program in enumerate(history.programs):
            origin = Origin(MODEL, "", 0, f"history {program}")
            before = (int(history.after[number]), *history.joins[number])
            began_s = max((ends_s[at] for at in before if at >= 0), default=0.0)
            own_s = cost.held_slots * cost.prefill_s_per_token * int(history.prompt_tokens[number])
            own_s += cost.decode_s_per_token * int(history.output_tokens[number])
            ends_s.append(began_s + own_s)
            step = history.steps[number]
            learned.history.arrived(origin, step, own_s, 0.0)
            learned.history.left(origin, step, ends_s[-1], 0.0)
            if last[program] == number:
                learned.history.ended(origin)
        return LearnedRuns(trace, cost, learned)


def sites_and_trace(seed: int, count: int, load: float) -> tuple[list[Site], Trace, Trace]:
    rng = np.random.default_rng(seed)
    history, trace = runs_of(count, rng), runs_of(count, rng)
    sites = sites_of(ENGINES, SLOTS)
    return sites, at_load(trace, capacity_rps(trace, sites), load), history


def met(
    seed: int, count: int, load: float, one: Contender, deadline_s: float
) -> tuple[float, float, list[float]]:
    """Share of runs in time, output tokens/s, and the latency of the runs."""
    sites, trace, history = sites_and_trace(seed, count, load)
    if one.deadlines:
        trace = replace(trace, run_deadline_s=np.full(len(trace), deadline_s))
    settings = SchedulerSettings(policy=one.policy, on_missed_deadline="downgrade")
    outcome = simulate(
        trace, sites, settings, Learnt(trace, history), cluster=Cluster(routing=one.routing)
    )
    latency_s = outcome.run_latency_s(trace.runs)
    tokens = trace.output_tokens[outcome.finished].sum()
    rate = float(tokens / np.nanmax(outcome.ended_s))
    return float((latency_s <= deadline_s).mean()), rate, latency_s.tolist()


def tightest(seed: int, count: int, load: float, one: Contender) -> tuple[float, float]:
    """The tightest deadline that MET of the runs meet, and output tokens/s then."""
    if not one.deadlines:
        _, rate, latency_s = met(seed, count, load, one, np.inf)
        return float(np.quantile(latency_s, MET)), rate
    base = Contender("run-fcfs", deadlines=False)
    _, _, latency_s = met(seed, count, load, base, np.inf)
    deadline_s = BEGIN * float(np.quantile(latency_s, MET))
    best, missed = (np.inf, 0.0), 0
    while missed < MISSED or best[0] == np.inf:
        share, rate, _ = met(seed, count, load, one, deadline_s)
        if share >= MET:
            best, missed = (deadline_s, rate), 0
        elif best[0] < np.inf:
            missed += 1
        else:
            deadline_s *= 1.5 * GRID
        deadline_s /= GRID
    return best


def best_of(task: tuple[int, int, float, str]) -> tuple[float, float]:
    seed, count, load, name = task
    return min(tightest(seed, count, load, one) for one in CONTENDERS[name])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=150)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--load", type=float, default=LOAD)
    parser.add_argument("--only", default="", help="only these policies and ours, with ; between")
    parser.add_argument("--quick", action="store_true", help="one draw of 60 runs")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("results/text_to_sql.json"))
    options = parser.parse_args()
    if options.quick:
        options.runs, options.draws = 60, 1
    only = {OURS, *options.only.split(";")} if options.only else set(CONTENDERS)
    names = [name for name in CONTENDERS if name in only]
    tasks = [
        (seed, options.runs, options.load, name) for name in names for seed in range(options.draws)
    ]
    with Pool(options.processes) as pool:
        every = []
        for task, found_one in zip(tasks, pool.imap(best_of, tasks), strict=True):
            print(*task, *found_one, flush=True)
            every.append(found_one)
    found = {
        name: every[number * options.draws : (number + 1) * options.draws]
        for number, name in enumerate(names)
    }
    rows, claims = [], []
    ours_s = np.array([deadline_s for deadline_s, _ in found[OURS]])
    ours_rate = np.array([rate for _, rate in found[OURS]])
    for name, draws in found.items():
        deadline_s = np.array([one for one, _ in draws])
        rate = np.array([one for _, one in draws])
        ratios = deadline_s / ours_s
        ratio, spread = float(np.median(ratios)), f"{ratios.min():.2f} to {ratios.max():.2f}"
        numbers = f"{np.median(deadline_s):.1f}", f"{ratio:.2f}", spread, f"{np.median(rate):.0f}"
        rows.append([name, *numbers])
        if name in BARS:
            claims.append(Claim(f"deadline of {name} / ours", ratio, BARS[name], at_most=False))
    if TURNS in found:
        rates = ours_rate / np.array([rate for _, rate in found[TURNS]])
        claims.append(Claim("tokens/s, ours / fcfs", float(np.median(rates)), 1.0, at_most=False))
    show(table_console(), Results(["policy", "deadline s", "/ ours", "draws", "tokens/s"], rows))
    details = {name: [list(one) for one in draws] for name, draws in found.items()}
    return publish(claims, {"found": details}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
