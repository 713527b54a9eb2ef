"""`policy: auto` on a day that drifts: chat, then code, then reasoning, at changing loads.

    HEADWAY_DATA=../shared/data python bench/auto.py [--requests 6000] [--json results/auto.json]

One simulated engine. Every few minutes of virtual time the gateway's own replay chooses, from what
its request log would hold by then: predicted lengths with errors, and a profile fitted to its own
answers. Each fixed policy serves the same day. A phase's best is the fixed policy with the least
mean latency in it among those whose p99 keeps the promise; a switch is wrong if the policy it
leaves would have been better in that phase. Waits carry over from phase to phase, as on a real day.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.core.settings import BoostSettings, SchedulerSettings
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.choice import CANDIDATES, Choice, choose
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Noisy
from headway.lab.simulation.recent import recent_traffic
from headway.lab.simulation.settings import served_settings
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.lab.simulation.served_log import records_of

PHASES = (
    ("chat", "azure2023_conv.csv.gz", 0.95),
    ("code", "azure2023_code.csv.gz", 1.0),
    ("reasoning", "servegen_deepseek_r1", 1.05),
    ("chat again", "azure2023_conv.csv.gz", 0.7),
)
"""Name, trace, and load."""
OCTAVES = 0.7
"""Standard deviation of prediction errors."""
PAUSE_S = 60.0
"""Between phases."""


@dataclass
class Auto:
    """The gateway's advisor on virtual time."""

    day: Trace
    settings: SchedulerSettings
    every_s: float
    window_s: float
    most_requests: int
    current: str = "boost"
    next_s: float = 0.0
    choices: list[tuple[float, str, str, str]] = field(default_factory=list)
    """When it switched, from what, to what, and why."""
    replays: int = 0
    advised: str = ""
    """By the last replay: without urgency, two in a row must agree."""
    spent_s: float = 0.0
    errors: list[float] = field(default_factory=list)
    """Of replays of what was served: by which share mean or p99 was off."""

    def __post_init__(self) -> None:
        self.began = self.current

    def policy(self, now_s: float, so_far: Outcome) -> str:
        """What `headway replay` would advise now."""
        self.next_s = now_s + self.every_s
        began_s = time.process_time()
        choice = self._advice(now_s, so_far)
        self.spent_s += time.process_time() - began_s
        before, self.advised = self.advised, choice.policy if choice is not None else ""
        if choice is not None and choice.evidence is not None:
            self.errors.append(choice.evidence.error)
        if choice is None or choice.policy == self.current:
            return self.current
        if choice.urgent or before == choice.policy:
            self.choices.append((now_s, self.current, choice.policy, choice.reason))
            self.current = choice.policy
        return self.current

    def _advice(self, now_s: float, so_far: Outcome) -> Choice | None:
        ended = np.flatnonzero(so_far.ended_s <= now_s)
        if not len(ended):
            return None
        ended = ended[np.argsort(so_far.ended_s[ended], kind="stable")][-self.most_requests :]
        used = [(0.0, self.began), *((at_s, policy) for at_s, _, policy, _ in self.choices)]
        answered = records_of(self.day, so_far, ended, OCTAVES, policies=used)
        came = (so_far.released_s <= now_s) & ~so_far.finished
        unfinished = records_of(self.day, so_far, np.flatnonzero(came), OCTAVES)
        answered.sort(key=lambda record: record.arrival_unix_s)
        try:
            self.replays += 1
            return choose(
                recent_traffic(answered, unfinished, self.window_s, "log"),
                logged_sites(answered, {}),
                self.settings,
                self.current,
            )
        except SimulationError:
            return None


def the_day(sites: list[Site], requests: int) -> tuple[Trace, np.ndarray]:
    """One trace of all phases, and the phase of each request."""
    folder = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "traces"
    parts, phase_of, begin_s = [], [], 0.0
    for number, (_, file, load) in enumerate(PHASES):
        part = load_trace(folder / file).first(requests)
        part = at_load(part, capacity_rps(part, sites), load)
        parts.append(replace(part, arrival_s=part.arrival_s - part.arrival_s[0] + begin_s))
        phase_of += [number] * len(part)
        begin_s = float(parts[-1].arrival_s[-1]) + PAUSE_S
    return (
        Trace(
            "a day",
            np.concatenate([part.arrival_s for part in parts]),
            np.concatenate([part.prompt_tokens for part in parts]),
            np.concatenate([part.output_tokens for part in parts]),
        ),
        np.array(phase_of),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="llama-3.1-8b-rtxpro6000")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--requests", type=int, default=6000, help="of each phase")
    parser.add_argument("--tail", type=float, default=1.15)
    parser.add_argument("--every", type=float, default=300.0, help="seconds between replays")
    parser.add_argument("--window", type=float, default=1800.0, help="seconds of traffic replayed")
    parser.add_argument("--json", type=Path, default=Path("results/auto.json"))
    options = parser.parse_args()
    sites = sites_of(options.profile, options.slots)
    day, phase_of = the_day(sites, options.requests)
    settings = replace(served_settings(), boost=BoostSettings(options.tail))
    auto = Auto(day, settings, options.every, options.window, 4000)
    latency_s = {
        name: simulate(day, sites, replace(settings, policy=name), Noisy(day, OCTAVES)).latency_s
        for name in CANDIDATES
    }
    began = replace(settings, policy=auto.current)
    latency_s["auto"] = simulate(day, sites, began, Noisy(day, OCTAVES), steering=auto).latency_s

    rows, worst, breaks = [], 0.0, 0
    best_of: dict[int, dict[str, float]] = {}
    for number, (phase, _, load) in enumerate(PHASES):
        within = phase_of == number
        mean = {name: float(np.nanmean(values[within])) for name, values in latency_s.items()}
        p99 = {
            name: float(np.nanquantile(values[within], 0.99)) for name, values in latency_s.items()
        }
        limit_s = options.tail * p99["fcfs"]
        kept = [name for name in CANDIDATES if p99[name] <= limit_s]
        best = min(kept, key=mean.__getitem__)
        best_of[number] = mean
        worst = max(worst, mean["auto"] / mean[best] - 1.0)
        breaks += p99["auto"] > limit_s
        for name in latency_s:
            rows.append(
                [
                    f"{phase}, load {load:g}",
                    name + (" (best)" if name == best else ""),
                    f"{mean[name]:.2f}",
                    f"{p99[name]:.1f}",
                    f"{p99[name] / p99['fcfs']:.2f}",
                ]
            )
    show(table_console(), Results(["phase", "policy", "mean s", "p99 s", "of fcfs"], rows))
    wrong = 0
    for at_s, before, after, reason in auto.choices:
        number = int(phase_of[min(len(day) - 1, int(np.searchsorted(day.arrival_s, at_s)))])
        means = best_of[number]
        wrong += means[before] < means[after]
        print(f"{at_s:7.0f} s, {PHASES[number][0]}: {before} -> {after}: {reason}")
    busy = auto.spent_s / float(day.arrival_s[-1])
    claims = [
        Claim("worst mean over the best fixed policy of a phase", 1.0 + worst, 1.05),
        Claim("phases whose p99 breaks the promise", breaks, 0),
        Claim("processor time of replays, share of one core", busy, 0.02),
    ]
    details = {
        "rows": rows,
        "switches": auto.choices,
        "wrong_switches": wrong,
        "replays": auto.replays,
    }
    errors = ", ".join(f"{error:.0%}" for error in sorted(auto.errors))
    print(f"replays of what was served were off by {errors}")
    print(f"{auto.replays} replays, {len(auto.choices)} switches, {wrong} of them wrong")
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
