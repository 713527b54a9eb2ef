"""What each way to save is worth on real traffic: batching, order, scaling, off-peak, spot.

    HEADWAY_DATA=../shared/data python bench/savings.py [--spot 0.4] [--mtbf-hours 3]

For each trace, the fewest engines that meet one SLO for everything that somebody waits for, found
by the simulator as `headway plan` does; what they cost is the time that they are on, times the
price. An engine costs 1 an hour, a spot engine `--spot`. Spot engines are taken away at random,
with all that runs on them, and come back after `--back-minutes`; what ran goes on elsewhere and
computes its prompt again. Off-peak: half of the requests may take a day, and run as tier `batch`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np

from claims import publish
from headway.core.fleet.scaling import Scaling
from headway.core.request import Tier
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.comparison import Contender, Run, Scenario, compare
from headway.lab.simulation.failures import Failures
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import capacity_rps
from headway.lab.simulation.measures import Slo, alone_s
from headway.lab.simulation.settings import settings_of
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace

CARD, LARGE_CARD = "llama-3.1-8b-rtx4090", "llama-3.1-8b-rtxpro6000"
TRACES = {
    "Azure chat": ("azure2023_conv.csv.gz", 1, CARD, 32, 2.0),
    "Azure code": ("azure2023_code.csv.gz", 1, CARD, 16, 2.0),
    "ServeGen R1": ("servegen_deepseek_r1", 30, LARGE_CARD, 32, 5.0),
}
"""File, of how many requests one is taken, engine, slots, and the SLO: p99 TTFT in seconds.

As many slots as the memory holds prompts of that size: more would only queue inside the engine,
where no policy and no scaling sees it. R1's longest prompts fill the memory of the smaller card.
"""
DAY_S = 24 * 3600.0
HALF_A_DAY_S = DAY_S / 2
"""A shorter trace has no hours off-peak."""
MOST_ENGINES = 128
BUSIEST = 0.7
"""The load that a common rule gives to engines in the busiest minute."""
BACKLOG_S = 1.0
"""Waiting work per slot at which another engine is started: sooner than by default, as a start
takes much longer than the SLO allows."""


@dataclass(frozen=True)
class Way:
    """One way to serve a trace."""

    name: str
    profile: str
    slots: int
    policy: str = "fcfs"
    scales: bool = False
    """The fewest engines that must stay on are sought; as many more start and drain with work."""
    spot: bool = False
    off_peak: bool = False
    """Half of the requests may take a day."""


def ways(profile: str, slots: int) -> list[Way]:
    """What is compared; the first one is what the others are measured against."""
    return [
        Way("continuous batching, fcfs", profile, slots),
        Way("+ shortest first (srpt)", profile, slots, "srpt"),
        Way("+ scaling", profile, slots, scales=True),
        Way("+ spot", profile, slots, spot=True),
        Way("+ off-peak", profile, slots, off_peak=True),
        Way("all of it", profile, slots, "srpt", scales=True, spot=True, off_peak=True),
        Way("one request at a time", profile, 1),
    ]


def by_rule(trace: Trace, profile: str, slots: int) -> int:
    """Engines by a common rule: the busiest minute fills 70% of them."""
    per_minute = np.bincount((trace.arrival_s // 60.0).astype(int))
    capacity = capacity_rps(trace, sites_of(profile, slots)) * 60.0
    return ceil(int(per_minute.max()) / capacity / BUSIEST)


class Bench:
    """Finds the fewest engines for each way."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        spot_s = options.mtbf_hours * 3600.0, options.back_minutes * 60.0
        self._taken_away = Failures(mtbf_s=spot_s[0], repair_s=spot_s[1])

    def fewest(
        self, trace: Trace, way: Way, hint: int, ttft_p99_s: float
    ) -> tuple[int, Run, float, float]:
        """The number of engines, sought from `hint` on, their run, its cost an hour, and the p99
        TTFT of what somebody waits for."""
        tiers: Sequence[Tier] = ()
        urgent = np.ones(len(trace), bool)
        if way.off_peak:
            urgent = np.random.default_rng(7).random(len(trace)) < 0.5
            tiers = [Tier.INTERACTIVE if one else Tier.BATCH for one in urgent]
        trace = replace(trace, tiers=tiers)
        tried: dict[int, Run] = {}

        def met(engines: int) -> bool:
            if engines not in tried:
                tried[engines] = self.run(trace, way, engines)
            return _meets(tried[engines], urgent, ttft_p99_s)

        engines = _least(met, hint)
        price = self._options.spot if way.spot else 1.0
        on = tried[engines].measures.replica_s / trace.span_s
        return engines, tried[engines], price * on, _ttft_p99_s(tried[engines], urgent)

    def run(self, trace: Trace, way: Way, engines: int) -> Run:
        """So many engines, or where they scale, so many that stay on."""
        (site,) = sites_of(way.profile, way.slots)
        scaling = None
        if way.scales:
            least, engines = engines, 2 * engines
            scaling = Scaling(least, engines, self._options.cold_start_s, backlog_s=BACKLOG_S)
        sites = [replace(site, name=f"{site.name}-{n}") for n in range(engines)]
        failures = self._taken_away if way.spot else Failures()
        scenario = Scenario(
            [trace], sites, settings_of(), Slo(), Cluster(scaling=scaling, failures=failures)
        )
        contender = {way.name: Contender.parse(way.policy, self._options.predict)}
        (run,) = compare(scenario, contender, processes=1)[way.name]
        return run


def _meets(run: Run, urgent: np.ndarray, ttft_p99_s: float) -> bool:
    outcome = run.outcome
    if not outcome.finished.all() or (outcome.latency_s[~urgent] > DAY_S).any():
        return False
    return _ttft_p99_s(run, urgent) <= ttft_p99_s


def _ttft_p99_s(run: Run, urgent: np.ndarray) -> float:
    return float(np.quantile(run.outcome.ttft_s[urgent], 0.99))


def _least(met: Callable[[int], bool], hint: int) -> int:
    """The least number that is enough, sought from `hint` on."""
    if met(hint):
        while hint > 1 and met(hint - 1):
            hint -= 1
        return hint
    low, step = hint, 1
    while not met(low + step):
        low, step = low + step, 2 * step
        if low > MOST_ENGINES:
            raise SystemExit(f"{MOST_ENGINES} engines do not meet the SLO either")
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if met(middle) else (middle, high)
    return high


def thinned(trace: Trace, of: int) -> Trace:
    """One of so many requests, drawn at random."""
    chosen = np.random.default_rng(3).random(len(trace)) < 1.0 / of
    return trace if of == 1 else trace.rows(np.flatnonzero(chosen)).from_zero()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--predict", default="noise:0.7")
    parser.add_argument("--cold-start-s", type=float, default=120.0)
    parser.add_argument("--spot", type=float, default=0.4)
    parser.add_argument("--mtbf-hours", type=float, default=3.0)
    parser.add_argument("--back-minutes", type=float, default=5.0)
    parser.add_argument("--traces", default=",".join(TRACES))
    parser.add_argument("--json", type=Path, default=Path("results/savings.json"))
    options = parser.parse_args()
    folder = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "traces"
    bench, rows, details = Bench(options), [], {}
    for name in options.traces.split(","):
        file, of, profile, slots, ttft_s = TRACES[name]
        trace = thinned(load_trace(folder / file), of).first(options.requests)
        (alone,) = sites_of(profile, 1)
        fits = trace.prompt_tokens + trace.output_tokens < alone.profile.kv_tokens
        print(f"{name}: {fits.sum()} requests, {(~fits).sum()} too large left out", flush=True)
        trace, baseline = trace.rows(np.flatnonzero(fits)), None
        one_by_one = ceil(float(alone_s(trace, alone.profile).sum()) / trace.span_s)
        hint = max(1, one_by_one // 10)
        for way in ways(profile, slots):
            if way.off_peak and trace.span_s < HALF_A_DAY_S:
                way = replace(way, off_peak=False)
                if way.name != "all of it":
                    rows.append([name, way.name, "-", "-", "-", "-", "-", "less than a day"])
                    continue
            if way.slots == 1:
                hint = one_by_one
            engines, run, cost, ttft_p99_s = bench.fewest(trace, way, hint, ttft_s)
            hint = engines
            if baseline is None:
                baseline = cost
            measures = run.measures
            saved = f"{1.0 - cost / baseline:.0%}"
            rows.append([
                name,
                way.name,
                str(engines),
                f"{cost:.2f}",
                saved,
                f"{ttft_p99_s:.2f}",
                f"{measures.latency_s.mean:.1f}",
                str(measures.failovers),
            ])  # fmt: skip
            details[f"{name}, {way.name}"] = {
                "engines": engines,
                "cost_per_hour": cost,
                "saved": 1.0 - cost / baseline,
                "ttft_p99_s": ttft_p99_s,
                "mean_latency_s": measures.latency_s.mean,
                "failovers": measures.failovers,
                "utilisation": measures.utilisation,
            }
            print(*rows[-1], sep=", ", flush=True)
            if way == ways(profile, slots)[0]:
                sized = by_rule(trace, profile, slots)
                waited = bench.run(trace, way, sized).measures.ttft_s.p99
                rows.append([name, "sized by the busiest minute", str(sized), f"{sized:.2f}"])
                rows[-1] += [f"{1.0 - sized / cost:.0%}", f"{waited:.2f}", "-", "-"]
                details[f"{name}, busiest minute"] = {"engines": sized, "ttft_p99_s": waited}
    headings = ["trace", "way", "engines", "cost /h", "saved", "TTFT p99 s", "mean s", "lost runs"]
    show(table_console(), Results(headings, rows))
    return publish([], {"ways": details}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
