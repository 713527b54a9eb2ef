"""Whole runs of agents: policies by run against policies by call.

    HEADWAY_DATA=../shared/data python bench/runs.py [--quick]

Real sessions of agents, drawn with replacement as a Poisson stream of runs: a call is sent when the
one before it has ended, and its tools are done. What is predicted of a run was learned from the
sessions of the other four fifths, as from a request log. Latency is that of whole runs, tools
included.

Policies by call see calls that name no program. `srpt, programs named` sees what the policies by
run do: lengths by program, and what is cached of a run's context. `run-gittins, known` knows
what comes after each call, as by a client that sends `x-headway-remaining-ms`; `off by half` is
knows that with errors of a factor of two (one standard deviation).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.predictions import FromHistory, Predictions
from headway.lab.simulation.runs import MODEL, KnownRuns, Learned, LearnedRuns, Runs
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace
from headway.prediction.live.history import LengthHistory, Origin
from real_sizes import data

TRACES = {
    "agents (LMCache)": ("agentic_lmcache.jsonl.gz", 300),
    "agents (SWE)": ("agentic_swebench_agentcgroup.jsonl.gz", 100),
}
"""File, and runs of a draw."""
PROFILE, SLOTS = "llama-3.1-8b-rtxpro6000", 8
FOLDS = 5
LOADS = (0.9, 1.0, 1.2)
BY_CALL = ("fcfs", "srpt")
KNOWN, ROUGHLY, NAMED = ", known", ", off by half", ", programs named"
BY_RUN = ("plas", "run-gittins", f"run-gittins{KNOWN}", f"run-gittins{ROUGHLY}")
"""Without `atlas`: these runs have no branches, so it is `plas`."""
OTHERS = (f"srpt{NAMED}", "run-fcfs")
BARS = {"fcfs": 1.5, "srpt": 1.15}
"""Over these the best policy by run is so many times better at BARRED."""
BARRED = 1.2


class Remembering(Predictions):
    """Predictions of a gateway that has seen `history`: lengths, and what runs did.

    Args:
        trace: the requests.
        history: sessions; lengths are learned from all of them, for all policies.
        folds: the fold of each session in `history`, and of each request's session in `trace`.
        octaves: clients say what comes after a call, with such errors; None: they do not.
    """

    def __init__(
        self,
        trace: Trace,
        history: Trace,
        folds: tuple[np.ndarray, np.ndarray],
        octaves: float | None = None,
    ) -> None:
        self._history, self._folds, self._octaves = history, folds, octaves
        lengths = LengthHistory()
        for origin, _, number in _rows(history):
            lengths.observe(origin, int(history.output_tokens[number]))
        self._lengths = FromHistory(trace, lengths)

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        return self._lengths.predict(number)

    def finished(self, number: int) -> None:
        self._lengths.finished(number)

    def runs(self, trace: Trace, cost: CostModel) -> Runs:
        of_history, of_trace = self._folds
        apart = [
            LearnedRuns(trace, cost, self._learned(cost, of_history != fold))
            for fold in range(FOLDS)
        ]
        if self._octaves is None:
            return Folds(apart, of_trace)
        return Told(apart, of_trace, KnownRuns(trace, cost), self._octaves)

    def _learned(self, cost: CostModel, chosen: np.ndarray) -> Learned:
        learned, history = Learned(), self._history
        per_token_s = cost.held_slots * cost.prefill_s_per_token
        path_s = 0.0
        for origin, last, number in _rows(history):
            if not origin.program or not chosen[number]:
                continue
            prompt, cached = int(history.prompt_tokens[number]), int(history.shared_tokens[number])
            output = int(history.output_tokens[number])
            learned.history.arrived(origin, "", 0.0, 0.0)
            path_s += per_token_s * (prompt - cached) + cost.decode_s_per_token * output
            learned.history.left(origin, "", path_s, 0.0)
            learned.cached.answered(origin, prompt, output, cached)
            if last:
                learned.history.ended(origin)
                path_s = 0.0
        return learned


class Folds(Runs):
    """Each run is predicted from the sessions of other folds; nothing is learned on the way.

    Sessions are drawn more than once: what ended on the way would show what another does.
    """

    def __init__(self, apart: list[LearnedRuns], fold_of: np.ndarray) -> None:
        self._apart, self._fold_of = apart, fold_of.tolist()

    def arrives(self, number: int, request: Request, now_s: float) -> None:
        self._apart[self._fold_of[number]].arrives(number, request, 0.0)

    def left(self, number: int, request: Request, cached_tokens: int | None, now_s: float) -> None:
        self._apart[self._fold_of[number]].left(number, request, cached_tokens, 0.0)


class Told(Folds):
    """Clients say what comes, with log-normal errors of so many octaves."""

    def __init__(
        self, apart: list[LearnedRuns], fold_of: np.ndarray, known: KnownRuns, octaves: float
    ) -> None:
        super().__init__(apart, fold_of)
        self._known = known
        self._factor = 2.0 ** np.random.default_rng(0).normal(0.0, octaves, len(fold_of))

    def arrives(self, number: int, request: Request, now_s: float) -> None:
        super().arrives(number, request, now_s)
        cached_tokens = request.cached_tokens
        self._known.arrives(number, request, now_s)
        request.cached_tokens = cached_tokens
        if request.to_come is not None:
            told_ms = request.to_come.mean * self._factor[number]
            request.to_come = SizeEstimate.exactly(round(told_ms))


def _rows(trace: Trace) -> Iterator[tuple[Origin, bool, int]]:
    """Session by session: where each call comes from, whether it is the last, and its number."""
    members: dict[int, list[int]] = {}
    for number, run in enumerate(trace.runs.tolist()):
        members.setdefault(run, []).append(number)
    for run, numbers in members.items():
        program = f"history {run}" if trace.programs else ""
        origin = Origin(MODEL, trace.tenants[run], 0, program)
        for number in numbers:
            yield origin, number == numbers[-1], number


def drawn(trace: Trace, runs: int, rng: np.random.Generator) -> tuple[Trace, np.ndarray]:
    """So many of its runs, with replacement, as a Poisson stream: one a second in the mean.

    Also returns which request of `trace` each one is.
    """
    members: dict[int, list[int]] = {}
    for number, run in enumerate(trace.runs.tolist()):
        members.setdefault(run, []).append(number)
    chosen = rng.choice(list(members), runs)
    began_s = np.cumsum(rng.exponential(1.0, runs))
    rows: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for run, first in enumerate(chosen.tolist()):
        for number in members[first]:
            place[run, number] = len(rows)
            rows.append((run, number))
    numbers = np.array([number for _, number in rows])
    after = trace.after[numbers].tolist()
    before = [place.get((run, at), -1) for (run, _), at in zip(rows, after, strict=True)]
    return Trace(
        trace.name,
        np.array([began_s[run] for run, _ in rows]),
        trace.prompt_tokens[numbers],
        trace.output_tokens[numbers],
        tenants=[trace.tenants[number] for number in numbers],
        programs=[f"run {run}" for run, _ in rows],
        after=np.array(before),
        gap_s=trace.gap_s[numbers],
        shared_tokens=trace.shared_tokens[numbers],
    ), numbers


def folds_of(trace: Trace, rng: np.random.Generator) -> np.ndarray:
    """The fold of each request: all of a session are in one."""
    first, of_run = np.unique(trace.runs, return_inverse=True)
    folds: np.ndarray = (rng.permutation(len(first)) % FOLDS)[of_run]
    return folds


@dataclass(frozen=True)
class Found:
    """One policy on one draw: latency of runs."""

    mean_s: float
    p99_s: float
    max_s: float


def ran(case: str, load: float, seed: int, runs: int, contender: str) -> Found:
    file, usual = TRACES[case]
    rng = np.random.default_rng(seed)
    history = load_trace(data() / "traces" / file)
    folds = folds_of(history, rng)
    trace, numbers = drawn(history, runs or usual, rng)
    sites = sites_of(PROFILE, SLOTS)
    trace = at_load(trace, capacity_rps(trace, sites), load)
    policy = contender.partition(",")[0]
    octaves = 0.0 if contender.endswith(KNOWN) else 1.0 if contender.endswith(ROUGHLY) else None
    if contender in BY_CALL:
        trace, history = replace(trace, programs=()), replace(history, programs=())
    predictions = Remembering(trace, history, (folds, folds[numbers]), octaves)
    outcome = simulate(trace, sites, SchedulerSettings(policy=policy), predictions)
    latency_s = measures_of(trace, outcome, sites).run_latency_s
    return Found(latency_s.mean, latency_s.p99, latency_s.max)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    parser.add_argument("--runs", type=int, default=0, help="of a draw; 0: as TRACES says")
    parser.add_argument("--loads", default=",".join(map(str, LOADS)))
    parser.add_argument("--quick", action="store_true", help="one draw of 60 runs")
    parser.add_argument("--only", default="", help="cases with this in their names")
    parser.add_argument("--policies", default="", help="only these, with ; between")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("results/runs.json"))
    options = parser.parse_args()
    if options.quick:
        options.draws, options.runs = 1, 60
    loads = [float(part) for part in options.loads.split(",")]
    policies = options.policies.split(";") if options.policies else [*BY_CALL, *BY_RUN, *OTHERS]
    seeds = range(options.seed, options.seed + options.draws)
    claims, rows, details = [], [], {}
    with Pool(options.processes) as pool:
        for case in [case for case in TRACES if options.only in case]:
            for load in loads:
                tasks = [
                    pool.apply_async(ran, (case, load, seed, options.runs, policy))
                    for policy in policies
                    for seed in seeds
                ]
                every = [task.get() for task in tasks]
                found = {
                    policy: every[number * len(seeds) : (number + 1) * len(seeds)]
                    for number, policy in enumerate(policies)
                }
                mean_s = {
                    policy: float(np.mean([one.mean_s for one in draws]))
                    for policy, draws in found.items()
                }
                base = found["fcfs"]
                for policy, draws in found.items():
                    tail = np.median([a.p99_s / b.p99_s for a, b in zip(draws, base, strict=True)])
                    cells = [case, f"{load:g}", policy, f"{mean_s[policy]:.0f}"]
                    cells += [f"{mean_s[one] / mean_s[policy]:.2f}" for one in BY_CALL]
                    cells.append(f"{tail:.2f}")
                    rows.append(cells)
                    print(*cells, sep=" | ", flush=True)
                for name in BY_CALL:
                    best = min((p for p in BY_RUN if p in mean_s), key=mean_s.__getitem__)
                    bar = BARS[name] if load == BARRED else 1.0
                    claims.append(
                        Claim(
                            f"{case}, load {load:g}: {name} / {best}, the best by run",
                            mean_s[name] / mean_s[best],
                            bar,
                            at_most=False,
                        )
                    )
                details[f"{case}, load {load:g}"] = {
                    policy: [asdict(one) for one in draws] for policy, draws in found.items()
                }
    headings = ["traffic", "load", "policy", "mean s", "fcfs /", "srpt /", "p99 / fcfs"]
    show(table_console(), Results(headings, rows))
    return publish(claims, {"cases": details}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
