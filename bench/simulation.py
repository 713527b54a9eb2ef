"""How fast the simulator is, and what memory it needs.

    python bench/simulation.py [--requests 100000]

A Poisson trace at a load of 0.9 on an engine of 64 slots, under every policy, one after another in
one process; then six policies over all cores, as `headway simulate` runs them.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from claims import Claim, publish
from headway.core.policies import POLICIES
from headway.lab.simulation.comparison import Contender, Scenario, compare
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.settings import settings_of
from headway.lab.simulation.site import Site

ENGINE = Profile(
    "64 slots",
    dense_tokens=(1.0, 64.0, 512.0, 2048.0),
    dense_s=(0.015, 0.018, 0.040, 0.140),
    sequence_s=0.00001,
    decode_kv_s=0.00000003,
    slots=64,
)
SIX = ("fcfs", "sjf", "srpt", "gittins", "hrrn", "mlfq")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--load", type=float, default=0.9)
    parser.add_argument("--predict", default="noise:0.7")
    parser.add_argument("--json", type=Path, default=Path("results/simulation.json"))
    options = parser.parse_args()
    site = Site("one", ENGINE)
    trace = Recipe("poisson:1", count=options.requests).make()
    trace = at_load(trace, capacity_rps(trace, [site]), options.load)
    scenario = Scenario([trace], [site], settings_of(), Slo())
    claims, rates = [], {}
    for policy in POLICIES:
        contender = {policy: Contender.parse(policy, options.predict)}
        (run,) = compare(scenario, contender, processes=1)[policy]
        rates[policy] = options.requests / run.outcome.spent_s
        print(f"{policy}: {rates[policy]:,.0f} requests/s", flush=True)
        claims.append(Claim(f"{policy}: requests/s", rates[policy], 20_000, at_most=False))
    began_s = time.perf_counter()
    compare(scenario, {policy: Contender.parse(policy, options.predict) for policy in SIX})
    spent_s = time.perf_counter() - began_s
    claims.append(Claim("six policies, all cores, s", spent_s, 60.0))
    kib = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    claims.append(Claim("memory of the largest process, MB", kib / 1024, 1000.0))
    return publish(claims, {"requests_per_s": rates}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
