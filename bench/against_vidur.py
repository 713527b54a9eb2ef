"""Speed against Vidur 0.0.26 (PyPI): the same trace on the same model of an engine.

    python3.11 -m venv /tmp/vidur && /tmp/vidur/bin/pip install vidur==0.0.26 msgspec
    HEADWAY_DATA=../shared/data python bench/against_vidur.py --python /tmp/vidur/bin/python

Requests of Azure's chat trace on Llama-3.1-8B and an A100, first come first served, at a load of
0.9. Vidur downloads its profiles from Hugging Face; here the times of its iterations come from
Headway's profile, so that both simulate one engine, and nothing is trained or downloaded. Its
metrics and traces are off. Wall-clock time is that of the simulation alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from claims import Claim, publish
from headway.core.settings import SchedulerSettings
from headway.simulation.foresight import FromHistory
from headway.simulation.importers import load_trace
from headway.simulation.load import at_load, capacity_rps
from headway.simulation.measures import measures_of
from headway.simulation.profile import write_profile
from headway.simulation.profiles import load_profile
from headway.simulation.simulator import Site, simulate
from headway.simulation.trace import Trace
from real_sizes import data

FASTER = 50.0
SOURCES = Path(__file__).resolve().parents[1] / "src"
DRIVER = Path(__file__).with_name("vidur_driver.py")


def ours(trace: Trace, site: Site) -> dict[str, float]:
    """Seconds that it takes, and what comes out."""
    settings = SchedulerSettings(policy="fcfs")
    outcome = simulate(trace, [site], settings, FromHistory(trace))
    found = measures_of(trace, outcome, [site])
    return {
        "spent_s": outcome.spent_s,
        "latency_mean_s": found.latency_s.mean,
        "latency_p99_s": found.latency_s.p99,
    }


def theirs(trace: Trace, site: Site, python: Path) -> dict[str, float]:
    """The same of Vidur, in a process of its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        columns = [trace.arrival_s, trace.prompt_tokens, trace.output_tokens]
        rows = Path(folder) / "trace.csv"
        np.savetxt(rows, np.column_stack(columns), delimiter=",", fmt=["%.9f", "%d", "%d"])
        profile = Path(folder) / "profile.json"
        profile.write_bytes(write_profile(site.profile))
        ran = subprocess.run(
            [python, DRIVER, rows, profile],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(SOURCES), "WANDB_MODE": "disabled"},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=Path, required=True, help="that has vidur and msgspec")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--load", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("results/vidur.json"))
    options = parser.parse_args()
    # Vidur's Sarathi scheduler is vLLM's chunked prefill; neither side keeps prefixes.
    profile = replace(
        load_profile("llama-3.1-8b-a100"), batch_tokens=512, slots=128, prefix_cache=False
    )
    site = Site("a100", profile)
    trace = load_trace(data() / "traces/azure2023_conv.csv.gz").first(options.requests)
    trace = at_load(trace, capacity_rps(trace, [site]), options.load)
    runs = {"ours": [], "theirs": []}
    for _ in range(options.repeats):
        runs["ours"].append(ours(trace, site))
        runs["theirs"].append(theirs(trace, site, options.python))
        print({side: found[-1] for side, found in runs.items()}, flush=True)
    middle = {
        side: {name: median(run[name] for run in found) for name in found[0]}
        for side, found in runs.items()
    }
    ratio = middle["theirs"]["spent_s"] / middle["ours"]["spent_s"]
    claims = [
        Claim("Vidur's time over ours", ratio, FASTER, at_most=False),
        *(
            Claim(
                f"{name}: off from Vidur's by",
                abs(middle["ours"][name] / middle["theirs"][name] - 1.0),
                0.05,
            )
            for name in ("latency_mean_s", "latency_p99_s")
        ),
    ]
    return publish(claims, {"median": middle, "runs": runs}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
