"""How close the simulator comes to real vLLM runs, from measurements of single layers alone.

    HEADWAY_DATA=../shared/data python bench/fidelity_vllm.py

Replays the arrivals of measured runs (`profiles/vllm_runs`) through the profiles that ship, which
know nothing of these runs, and compares mean latency and mean time to first token.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.measures import Distribution, measures_of
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

RUNS = {
    "RTX4090__Llama-3.1-8B": "llama-3.1-8b-rtx4090",
    "RTXPRO6000__Llama-3.1-8B": "llama-3.1-8b-rtxpro6000",
    "RTXPRO6000__Qwen3-30B-A3B-Instruct-2507": "qwen3-30b-a3b-2x-rtxpro6000",
}
"""Run and profile."""
ALLOWED = 0.08


@dataclass(frozen=True)
class Measured:
    """One real run."""

    trace: Trace
    ttft_s: np.ndarray
    latency_s: np.ndarray


def measured(path: Path) -> Measured:
    """Times count from when vLLM had the request, as its own log does."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = sorted(map(json.loads, file), key=lambda row: row["queued_ts"])
    queued_s = np.array([row["queued_ts"] for row in rows])
    trace = Trace(
        path.name,
        queued_s - queued_s[0],
        np.array([row["input_toks"] for row in rows]),
        np.array([row["output_toks"] for row in rows]),
    )
    first_s = np.array([row["first_token_ts"] for row in rows])
    last_s = np.array([row["last_token_ts"] for row in rows])
    return Measured(trace, first_s - queued_s, last_s - queued_s)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("results/fidelity_vllm.json"))
    options = parser.parse_args()
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "profiles/vllm_runs"
    claims, details = [], {}
    for run, name in RUNS.items():
        real = measured(data / f"{run}__requests.jsonl.gz")
        site = Site(name, load_profile(name))
        settings = SchedulerSettings(policy="fcfs")
        outcome = simulate(real.trace, [site], settings, FromHistory(real.trace))
        found = measures_of(real.trace, outcome, [site])
        pairs = {
            "mean latency": (found.latency_s.mean, float(real.latency_s.mean())),
            "mean TTFT": (found.ttft_s.mean, float(real.ttft_s.mean())),
        }
        details[run] = {
            "simulated": {"latency_s": vars_of(found.latency_s), "ttft_s": vars_of(found.ttft_s)},
            "measured": {
                "latency_s": vars_of(Distribution.of(real.latency_s)),
                "ttft_s": vars_of(Distribution.of(real.ttft_s)),
            },
        }
        print(run, json.dumps(details[run], indent=1))
        for what, (simulated_s, real_s) in pairs.items():
            off = abs(simulated_s / real_s - 1.0)
            claims.append(Claim(f"{run}: {what}, off by", off, ALLOWED))
    return publish(claims, details, options.json)


def vars_of(distribution: Distribution) -> dict[str, float]:
    names = ("mean", "p50", "p90", "p99", "max")
    return {name: round(getattr(distribution, name), 3) for name in names}


if __name__ == "__main__":
    raise SystemExit(main())
