"""How close the simulator comes to the embedded engine: calibrated, then simulated.

    python bench/fidelity.py [--loads 0.6,0.9,1.2] [--minutes 15] [--repeats 1] [--threads N]

`headway calibrate` measures the engine; its profile says how much traffic is a load of 1. Then real
requests come for some minutes as a Poisson process, real prompts and answers of lengths that vary
as people's do, and the simulator is given the same arrivals and lengths. Machines drift by some per
cent within an hour, so the engine is calibrated again before each load and in every repeat, in
which the same requests come again. Simulated values may lie anywhere between the real runs.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.core.settings import SchedulerSettings
from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import LoadRequest, Workload
from headway.lab.simulation.calibration.fitting import fit
from headway.lab.simulation.calibration.measuring import probe
from headway.lab.simulation.load import capacity_rps
from headway.lab.simulation.measures import Distribution
from headway.lab.simulation.outcome import Outcome as Simulated
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

MEAN_TOKENS, SPREAD = 90, 0.8
"""Of the answers: log-normal."""
MOST_TOKENS = 400
LONG_TOKENS = 20
"""Number of answers whose decoding shows how fast the engine is."""
WINDOW_S = 180.0
TOLERATED = {"mean": 0.05, "p50": 0.05, "p99": 0.10}

Comparison = dict[str, dict[str, float]]
"""Of each statistic: real and simulated seconds, and how far apart they are."""


def load_of(rate: float, seconds: float, seed: int) -> Workload:
    """Requests that come for so long, so many a second."""
    rng = random.Random(seed)
    prompts = load_prompts(None, None)
    requests, now_s = [], 0.0
    while (now_s := now_s + rng.expovariate(rate)) < seconds:
        tokens = rng.lognormvariate(log(MEAN_TOKENS) - SPREAD**2 / 2, SPREAD)
        requests.append(
            LoadRequest(
                now_s,
                rng.choice(prompts).messages,
                max(1, min(MOST_TOKENS, round(tokens))),
                ignore_eos=True,
                cache_prompt=False,
            )
        )
    return Workload(tuple(requests))


def trace_of(outcomes: Sequence[RequestResult]) -> Trace:
    return Trace(
        "what was sent",
        np.array([outcome.request.at_s for outcome in outcomes]),
        np.array([outcome.prompt_tokens for outcome in outcomes]),
        np.array([outcome.output_tokens for outcome in outcomes]),
    )


async def measure(options: argparse.Namespace) -> int:
    serve = {"policy": "fcfs", "slots": options.slots, "threads": options.threads}
    loads = [float(load) for load in options.loads.split(",")]
    runs: dict[float, list[Comparison]] = {load: [] for load in loads}
    paces: dict[float, list[dict[str, float]]] = {load: [] for load in loads}
    profiles: list[Profile] = []
    rate = 0.0
    async with HeadwayServer(serve) as server, LoadClient(server.url, "default", "", 3600) as c:
        for repeat in range(1, options.repeats + 1):
            for load in loads:
                profiles.append(fit("embedded", await probe(c, options.slots), batch_tokens=2048))
                if not rate:
                    rate = await capacity(c, profiles[0])
                    print(f"a load of 1 is {rate:.2f} requests/s", flush=True)
                requests = load_of(load * rate, 60.0 * options.minutes, options.seed)
                outcomes = await c.run(requests)
                simulated = simulation_of(outcomes, profiles[-1])
                runs[load].append(compared(outcomes, simulated))
                paces[load].append(pace(outcomes, simulated))
                print(f"load {load:g}, run {repeat}:", runs[load][-1], flush=True)
                print("decoding, real / foretold:", paces[load][-1], flush=True)
    details: dict[str, object] = {
        f"load {load:g}": {"runs": runs[load], "decoding, real / foretold": paces[load]}
        for load in loads
    }
    claims = [claim for load in loads for claim in claims_of(load, runs[load])]
    return publish(claims, {"profiles": [*map(repr, profiles)], **details}, options.json)


async def capacity(client: LoadClient, profile: Profile) -> float:
    """Requests a second that the profile can take, of those that will be sent."""
    sample = load_of(10.0, 30.0, seed=99)
    tokens = {}
    for request in sample.requests:
        if characters(request) not in tokens:
            one = replace(request, at_s=0.0, max_tokens=1)
            tokens[characters(request)] = (await client.send(one)).prompt_tokens
    trace = Trace(
        "sample",
        np.array([request.at_s for request in sample.requests]),
        np.array([tokens[characters(request)] for request in sample.requests]),
        np.array([request.max_tokens for request in sample.requests]),
    )
    return capacity_rps(trace, [Site("embedded", profile)])


def characters(request: LoadRequest) -> int:
    return sum(len(message["content"]) for message in request.messages)


def simulation_of(outcomes: Sequence[RequestResult], profile: Profile) -> Simulated:
    """What the simulator makes of what was sent."""
    failed = [outcome.error for outcome in outcomes if not outcome.ok]
    if failed:
        raise SystemExit(f"{len(failed)} requests failed: {failed[0]}")
    trace = trace_of(outcomes)
    settings = SchedulerSettings(policy="fcfs")
    return simulate(trace, [Site("embedded", profile)], settings, FromHistory(trace))


def compared(outcomes: Sequence[RequestResult], simulated: Simulated) -> Comparison:
    """Real and simulated statistics of one run."""
    pairs = {
        "latency": (np.array([o.latency_s for o in outcomes]), simulated.latency_s),
        "TTFT": (np.array([o.ttft_s or 0.0 for o in outcomes]), simulated.ttft_s),
    }
    found = {}
    for name, (real, by_profile) in pairs.items():
        for statistic in TOLERATED:
            real_s = getattr(Distribution.of(real), statistic)
            foretold_s = getattr(Distribution.of(by_profile), statistic)
            found[f"{statistic} {name}"] = {
                "real_s": round(real_s, 3),
                "simulated_s": round(foretold_s, 3),
                "off": round(foretold_s / real_s - 1.0, 4),
            }
    return found


def pace(outcomes: Sequence[RequestResult], simulated: Simulated) -> dict[str, float]:
    """How much longer decoding took than simulated, at the median, in each window of the run.

    About the same everywhere: the profile is off. Up and down: so is the machine.
    """
    real_s = np.array([outcome.latency_s - (outcome.ttft_s or 0.0) for outcome in outcomes])
    foretold_s = simulated.latency_s - simulated.ttft_s
    long = np.array([outcome.output_tokens >= LONG_TOKENS for outcome in outcomes])
    window = np.array([int(outcome.request.at_s // WINDOW_S) for outcome in outcomes])
    return {
        f"from {n * WINDOW_S:g} s": round(
            float(np.median(real_s[long & (window == n)] / foretold_s[long & (window == n)])), 3
        )
        for n in sorted(set(window[long].tolist()))
    }


def claims_of(load: float, runs: Sequence[Comparison]) -> list[Claim]:
    """How far a simulated value is from the range of real runs.

    Each run is compared with its simulation from the calibration right before it.
    """
    claims = []
    for name in runs[0]:
        ratios = [run[name]["simulated_s"] / run[name]["real_s"] for run in runs]
        off = max(min(ratios) - 1.0, 1.0 - max(ratios), 0.0)
        claims.append(Claim(f"load {load:g}: {name}, off by", off, TOLERATED[name.split()[0]]))
    return claims


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loads", default="0.6,0.9,1.2")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--threads", type=int, help="of the engine; else one a core")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/fidelity.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
