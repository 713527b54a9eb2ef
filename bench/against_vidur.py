"""Speed against Vidur 0.0.26 (PyPI): the same trace on the same model of an engine.

    python3.11 -m venv /tmp/vidur && /tmp/vidur/bin/pip install vidur==0.0.26 msgspec rich
    HEADWAY_DATA=../shared/data python bench/against_vidur.py --python /tmp/vidur/bin/python

Llama-3.1-8B on an A100, first come first served, chunked prefill, at a load of 0.9. Vidur downloads
its profiles from Hugging Face; here the times of its iterations come from Headway's profile, so
that both simulate one engine, and nothing is trained or downloaded. Wall-clock time is that of the
simulation alone, without start, reading the trace, or our table. Vidur runs twice: `bare`, which
writes down nothing, and as it comes, but for its plots.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from claims import Claim, publish
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.comparison import Contender, Scenario, compare
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import Slo, measures_of
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.profile import write_profile
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.report import report_html
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace
from real_sizes import data

FASTER = 50.0
SAME = 0.05
TRACES = {"Azure chat": "azure2023_conv.csv.gz", "ServeGen R1": "servegen_deepseek_r1"}
"""Long prompts and short answers, and the other way round."""
SOURCES = Path(__file__).resolve().parents[1] / "src"
DRIVER = Path(__file__).with_name("vidur_driver.py")
WITHOUT_PLOTS = ("bare", "metrics")

Run = dict[str, float]
"""Seconds that a simulation took, those of the processor among them, and what latencies it has."""


def ours(trace: Trace, site: Site) -> Run:
    """A run of Headway."""
    settings = SchedulerSettings(policy="fcfs")
    began_cpu_s = time.process_time()
    outcome = simulate(trace, [site], settings, FromHistory(trace))
    cpu_s = time.process_time() - began_cpu_s
    found = measures_of(trace, outcome, [site])
    return {
        "spent_s": outcome.spent_s,
        "cpu_s": cpu_s,
        "latency_mean_s": found.latency_s.mean,
        "latency_p99_s": found.latency_s.p99,
    }


def our_page_s(trace: Trace, site: Site) -> float:
    """Wall-clock seconds of a run of Headway and its page of plots."""
    began_s = time.perf_counter()
    scenario = Scenario([trace], [site], SchedulerSettings(), Slo())
    runs = compare(scenario, {"fcfs": Contender.parse("fcfs", "history")}, processes=1)
    report_html(SimulationResult(runs, {}), scenario, {})
    return time.perf_counter() - began_s


def theirs(trace: Trace, site: Site, python: Path, mode: str) -> Run:
    """A run of Vidur, in a process of its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        columns = [trace.arrival_s, trace.prompt_tokens, trace.output_tokens]
        rows = Path(folder) / "trace.csv"
        np.savetxt(rows, np.column_stack(columns), delimiter=",", fmt=["%.9f", "%d", "%d"])
        profile = Path(folder) / "profile.json"
        profile.write_bytes(write_profile(site.profile))
        ran = subprocess.run(
            [python, DRIVER, rows, profile, mode],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(SOURCES), "WANDB_MODE": "disabled"},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    found: Run = json.loads(ran.stdout.splitlines()[-1])
    return found


def compared(trace: Trace, site: Site, options: argparse.Namespace) -> dict[str, list[Run]]:
    """The runs of us and of Vidur, in turn."""
    runs: dict[str, list[Run]] = {"ours": [], "bare": [], "metrics": []}
    for _ in range(options.repeats):
        runs["ours"].append(ours(trace, site))
        for mode in WITHOUT_PLOTS:
            runs[mode].append(theirs(trace, site, options.python, mode))
        print({who: found[-1] for who, found in runs.items()}, flush=True)
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=Path, required=True, help="that has vidur and msgspec")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--load", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("results/against_vidur.json"))
    options = parser.parse_args()
    # Vidur's `sarathi` scheduler is vLLM's chunked prefill; it keeps no prefixes.
    profile = load_profile("llama-3.1-8b-a100")
    profile = replace(profile, batch_tokens=512, prefix_cache=False)
    site = Site("a100", profile)
    claims: list[Claim] = []
    details: dict[str, object] = {}
    for name, file in TRACES.items():
        trace = load_trace(data() / "traces" / file).first(options.requests)
        trace = at_load(trace, capacity_rps(trace, [site]), options.load)
        runs = compared(trace, site, options)
        details[name] = runs
        middle = {
            who: {key: median(run[key] for run in found) for key in found[0]}
            for who, found in runs.items()
        }
        for mode in WITHOUT_PLOTS:
            for key, what in (("spent_s", "wall"), ("cpu_s", "CPU")):
                times = middle[mode][key] / middle["ours"][key]
                label = f"{name}: Vidur, {mode}, over ours, {what}"
                claims.append(Claim(label, times, FASTER, at_most=False))
        page_s = median(our_page_s(trace, site) for _ in range(options.repeats))
        theirs_s = theirs(trace, site, options.python, "default")["spent_s"]
        details[f"{name}, with plots"] = {"ours_s": page_s, "theirs_s": theirs_s}
        label = f"{name}: Vidur with plots over ours with its page, wall"
        claims.append(Claim(label, theirs_s / page_s, FASTER, at_most=False))
        for key in ("latency_mean_s", "latency_p99_s"):
            off = abs(middle["ours"][key] / middle["bare"][key] - 1.0)
            claims.append(Claim(f"{name}: {key} off from Vidur's by", off, SAME))
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
