"""Does preemption pay: policies that stop requests against `sjf`, which does not.

    HEADWAY_DATA=../shared/data python bench/preempting.py [--quick]

Prompts of Alpaca with the real lengths of two models' answers, a predictor trained on the other
prompts of the set, on an engine where stopping costs (64 slots) and on one where it hardly does
(4 slots), as Poisson streams, several draws; and the traces of `sweep.py`, with predictions off by
0.7 octaves. Every mean is over that of `sjf` on the same requests. With known lengths, `srpt` is
compared with `sjf` that knows them, too.

Predictors are kept beside the JSON file, and made anew only if they are missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.core.estimate import SizeEstimate
from headway.core.settings import SchedulerSettings
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import measures_of
from headway.lab.simulation.predictions import Noisy, Oracle, Predictions
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace
from headway.prediction.learning.examples import Examples, load_folder
from headway.prediction.learning.training import train
from headway.prediction.models.artefact import load, save
from headway.prediction.models.predictor import Predictor
from real_sizes import CHARACTERS_PER_TOKEN, data
from sweep import TRACES

SET = "alpaca52k_vicuna20k"
MODELS = {"Vicuna": ("vicuna_7b_t0.0", 4000), "Davinci": ("text_davinci_003", 6000)}
"""Column of lengths, and prompts that are held back from the predictor."""
ENGINES = {"64 slots": ("llama-3.1-8b-a100", 64), "4 slots": ("smollm2-135m-2-cores", 4)}
LOADS = (0.95, 1.0, 1.05, 1.2)
SWEPT = ("llama-3.1-8b-rtxpro6000", 0.95, 0.7)
"""Engine, load and errors in octaves of the traces."""
POLICIES = ("srpt", "trail", "gittins")
BASE, KNOWN = "sjf", "oracle"
ALLOWED = 1.02
"""Of the mean of `sjf`."""
KEPT = {"ServeGen R1": 0.99, "agents (LMCache)": 0.97}
"""The same with known lengths, where stops gained much before they were weighed."""


@dataclass(frozen=True)
class Found:
    """One policy on one stream of requests."""

    mean_s: float
    p99_s: float
    preemptions: int


class Learned(Predictions):
    """What a predictor says of each request's prompt."""

    def __init__(self, predictor: Predictor, scores: np.ndarray) -> None:
        self._scores = scores.tolist()
        self._estimate = predictor.calibration.estimate

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        score = self._scores[number]
        return self._estimate(score), score


@dataclass(frozen=True)
class HeldBack:
    """Prompts that a predictor was not trained on, and what it says of them."""

    examples: Examples
    predictor: Predictor
    scores: np.ndarray

    def stream(self, site: Site, seed: int, requests: int) -> tuple[Trace, np.ndarray]:
        """Requests in random order, one a second in the mean, and which prompt each is."""
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(self.examples))[:requests]
        characters = [len(self.examples.prompts[number].text) for number in chosen]
        prompts = np.maximum(1, np.rint(np.array(characters) / CHARACTERS_PER_TOKEN)).astype(int)
        lengths = self.examples.lengths[chosen].astype(int)
        return Trace(SET, np.cumsum(rng.exponential(1.0, len(chosen))), prompts, lengths), chosen


@cache
def held_back(model: str, folder: Path) -> HeldBack:
    """The predictor is trained on all other prompts, if it is not in `folder`."""
    column, count = MODELS[model]
    examples = load_folder(data() / "text" / SET, column).answered()
    order = np.random.default_rng(0).permutation(len(examples))
    file = folder / f"preempting-{column}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        save(train(column, [examples.rows(order[count:])]), file)
    predictor, tested = load(file), examples.rows(order[:count])
    return HeldBack(tested, predictor, np.array(predictor.scores(tested.prompts)))


def ran(trace: Trace, sites: list[Site], policy: str, predictions: Predictions) -> Found:
    outcome = simulate(trace, sites, SchedulerSettings(policy=policy), predictions)
    found = measures_of(trace, outcome, sites)
    return Found(found.latency_s.mean, found.latency_s.p99, found.preemptions)


def with_known_lengths(trace: Trace, sites: list[Site]) -> dict[str, Found]:
    return {f"{p}+{KNOWN}": ran(trace, sites, p, Oracle(trace)) for p in (BASE, "srpt")}


def of_prompts(options: argparse.Namespace) -> Iterator[tuple[str, list[dict[str, Found]]]]:
    """By case, what each policy did in every draw."""
    for model in MODELS:
        if options.only not in model:
            continue
        of_model = held_back(model, options.json.parent)
        for name, (profile, slots) in ENGINES.items():
            sites = sites_of(profile, slots)
            requests = options.requests if slots > 4 else options.requests // 2
            for load_ in options.loads:
                draws = []
                for seed in range(options.seed, options.seed + options.draws):
                    trace, chosen = of_model.stream(sites[0], seed, requests)
                    trace = at_load(trace, capacity_rps(trace, sites), load_)
                    learned = Learned(of_model.predictor, of_model.scores[chosen])
                    found = {p: ran(trace, sites, p, learned) for p in ("fcfs", BASE, *POLICIES)}
                    draws.append(found | with_known_lengths(trace, sites))
                yield f"{model}, {name}, load {load_:g}", draws


def of_traces(options: argparse.Namespace) -> Iterator[tuple[str, list[dict[str, Found]]]]:
    profile, load_, octaves = SWEPT
    for name, (file, slots) in TRACES.items():
        if options.only not in name:
            continue
        sites = sites_of(profile, slots)
        trace = load_trace(data() / "traces" / file).first(options.requests * 2)
        trace = at_load(trace, capacity_rps(trace, sites), load_)
        noisy = Noisy(trace, octaves)
        found = {p: ran(trace, sites, p, noisy) for p in ("fcfs", BASE, *POLICIES)}
        yield name, [found | with_known_lengths(trace, sites)]


def mean_of(draws: list[dict[str, Found]], policy: str) -> float:
    return float(np.mean([found[policy].mean_s for found in draws]))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    parser.add_argument("--loads", default=",".join(map(str, LOADS)))
    parser.add_argument("--quick", action="store_true", help="one draw of 1,500 requests")
    parser.add_argument("--only", default="", help="cases with this in their names")
    parser.add_argument("--json", type=Path, default=Path("results/preempting.json"))
    options = parser.parse_args()
    options.loads = [float(part) for part in options.loads.split(",")]
    if options.quick:
        options.requests, options.draws = 1500, 1
    claims, rows, details = [], [], {}
    for cases in (of_prompts(options), of_traces(options)):
        for case, draws in cases:
            base_s = mean_of(draws, BASE)
            known = mean_of(draws, f"srpt+{KNOWN}") / mean_of(draws, f"{BASE}+{KNOWN}")
            cells = [case, f"{mean_of(draws, 'fcfs') / base_s:.2f}", f"{base_s:.2f}"]
            for policy in POLICIES:
                share = mean_of(draws, policy) / base_s
                tails = np.mean([d[policy].p99_s / d[BASE].p99_s for d in draws])
                stops = np.mean([d[policy].preemptions for d in draws])
                cells.append(f"{share:.3f} ({tails:.2f}, {stops:.0f})")
                claims.append(Claim(f"{case}: {policy} / {BASE}", share, ALLOWED))
            bar = KEPT.get(case, ALLOWED)
            claims.append(Claim(f"{case}: srpt / {BASE}, both {KNOWN}", known, bar))
            stops = np.mean([d[f"srpt+{KNOWN}"].preemptions for d in draws])
            cells.append(f"{known:.3f} ({stops:.0f})")
            rows.append(cells)
            details[case] = [{p: asdict(one) for p, one in found.items()} for found in draws]
            print(*cells, sep=" | ", flush=True)
    headings = ["case", "fcfs", f"{BASE}, s", *POLICIES, f"srpt / {BASE}, both {KNOWN}"]
    show(table_console(), Results(headings, rows))
    return publish(claims, {"cases": details}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
