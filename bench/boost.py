"""What `boost` makes of a promised tail, against the best fixed scale and `hrrn`.

    HEADWAY_DATA=../shared/data python bench/boost.py [--draws 3] [--processes 1]

Three kinds of requests on one simulated engine with 64 slots: answers of Vicuna-7B and of
text-davinci-003 to Alpaca's prompts, held back from the predictor that is trained here, as Poisson
streams; and ServeGen's DeepSeek R1, arrivals as recorded, with predictions off by 0.7 octaves. Each
is drawn several times (prompts and arrivals in another order, of R1 other errors). Every number is
a median over draws, each in relation to `fcfs` and to the oracle on the same requests. The oracle
is the better of `srpt` and `sjf` that know the lengths.

For each draw, the best fixed scale T is the one of a grid with the largest gain whose p99 keeps
what `tail: 1.15` promises: it is chosen afterwards, and nobody knows it in advance.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from claims import Claim, publish
from headway.core.settings import BoostSettings, SchedulerSettings
from headway.lab.report.gain import gain_captured
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.comparison import Contender, Run, Scenario, compare
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.settings import settings_of
from headway.lab.simulation.site import Site
from headway.lab.simulation.site_list import sites_of
from headway.lab.simulation.trace import Trace
from headway.prediction.learning.examples import load_folder
from headway.prediction.learning.training import train
from headway.prediction.models.artefact import save
from real_sizes import CHARACTERS_PER_TOKEN, data

PROMISE = 1.15
MOST = 1.2
"""p99 over that of `fcfs`: what is measured of one trace varies."""
OFF_BEST = 0.05
OVER_HRRN = 0.10
TAILS = (1.0, 1.02, 1.05, 1.1, PROMISE, 1.2, 1.3, 1.5)
"""To compare with `hrrn` at its own p99."""
ALPACA = "alpaca52k_vicuna20k"
LEARNED_FROM = 12_000
"""Prompts to train on, at most: twice as many make no difference in order that counts here."""
ORACLES = ("srpt+oracle", "sjf+oracle")


@dataclass(frozen=True)
class Kind:
    """One kind of requests."""

    name: str
    target: str
    """Column of Alpaca's lengths; empty: ServeGen's R1."""
    requests: int
    scales_s: tuple[float, ...]
    """The fixed scales to compare with."""


KINDS = (
    Kind("Vicuna", "vicuna_7b_t0.0", 4000, (0.5, 1, 2, 3, 4, 6, 8, 12, 16, 32)),
    Kind("Davinci", "text_davinci_003", 6000, (0.5, 1, 2, 3, 4, 6, 8, 12, 16)),
    Kind("R1", "", 8000, (32, 48, 64, 96, 128, 192, 256, 384, 512)),
)


@dataclass(frozen=True)
class Traffic:
    """The draws of one kind at no particular load, and what is predicted of them."""

    draws: Sequence[Trace]
    prediction: str
    capacity_rps: float


@dataclass(frozen=True)
class Point:
    """One contender on one draw, in relation to `fcfs`."""

    gain: float
    p99: float
    worst_wait_s: float


def answered(kind: Kind, draws: int, folder: Path) -> tuple[list[Trace], str]:
    """Draws of prompts that the predictor has not seen, and the prediction."""
    examples = load_folder(data() / "text" / ALPACA, kind.target).answered()
    order = np.random.default_rng(0).permutation(len(examples))
    held_back = examples.rows(order[: kind.requests])
    learned = examples.rows(order[kind.requests :][:LEARNED_FROM])
    model, prompts = folder / f"{kind.name}.npz", folder / f"{kind.name}.jsonl"
    predictor = train(kind.target, [learned])
    print(f"{kind.name}: Kendall's tau {predictor.card.kendall_tau:.3f}", flush=True)
    save(predictor, model)
    lines = [{"id": n, "prompt": one.text} for n, one in enumerate(held_back.prompts)]
    prompts.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    characters = np.array([len(one.text) for one in held_back.prompts])
    traces = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(held_back))
        traces.append(
            Trace(
                kind.name,
                np.cumsum(rng.exponential(1.0, len(rows))),
                np.maximum(1, np.rint(characters[rows] / CHARACTERS_PER_TOKEN)).astype(int),
                np.maximum(1, held_back.lengths[rows]).astype(int),
                prompt_ids=[str(row) for row in rows],
            )
        )
    return traces, f"predictor:{model}@{prompts}"


def traffic_of(kind: Kind, draws: int, sites: Sequence[Site], folder: Path) -> Traffic:
    if kind.target:
        traces, prediction = answered(kind, draws, folder)
    else:
        r1 = load_trace(data() / "traces" / "servegen_deepseek_r1").first(kind.requests)
        traces, prediction = [r1] * draws, "noise:0.7"
    return Traffic(traces, prediction, capacity_rps(traces[0], sites))


def contenders(kind: Kind, prediction: str, settings: SchedulerSettings) -> dict[str, Contender]:
    """By label; `T=` and `tail=` are `boost`."""

    def boost(promise: BoostSettings) -> Contender:
        return Contender("boost", prediction, settings=replace(settings, boost=promise))

    return {
        **{name: Contender.parse(name, prediction) for name in ("fcfs", "sjf", "hrrn", *ORACLES)},
        **{f"T={scale_s:g}": boost(BoostSettings(scale_s=scale_s)) for scale_s in kind.scales_s},
        **{f"tail={tail:g}": boost(BoostSettings(tail)) for tail in TAILS},
    }


def points_of(runs: Mapping[str, Sequence[Run]]) -> list[dict[str, Point]]:
    """For each draw, all contenders by label."""
    found = []
    for draw, fcfs in enumerate(runs["fcfs"]):
        oracle_s = min(runs[label][draw].measures.latency_s.mean for label in ORACLES)
        points = {}
        for label, of in runs.items():
            measures, base = of[draw].measures, fcfs.measures.latency_s
            gain = gain_captured(base.mean, measures.latency_s.mean, oracle_s) or 0.0
            p99 = measures.latency_s.p99 / base.p99
            points[label] = Point(gain, p99, measures.wait_s.max)
        found.append(points)
    return found


def best(points: Mapping[str, Point], kind: str, p99: float) -> float:
    """The largest gain at no larger p99, of the labels that begin with `kind`; 0 without any."""
    able = [one.gain for label, one in points.items() if label.startswith(kind) and one.p99 <= p99]
    return max(able, default=0.0)


def cells(draws: Sequence[Mapping[str, Point]], label: str) -> str:
    gain = median(points[label].gain for points in draws)
    return f"{gain:.0%} at {median(points[label].p99 for points in draws):.2f}"


def claims_of(name: str, draws: Sequence[Mapping[str, Point]]) -> Iterator[Claim]:
    steered = f"tail={PROMISE:g}"
    yield Claim(f"{name}: p99 over fcfs", median(points[steered].p99 for points in draws), MOST)
    yield Claim(
        f"{name}: gain over that of the best fixed scale",
        median(points[steered].gain - best(points, "T=", PROMISE) for points in draws),
        -OFF_BEST,
        at_most=False,
    )
    yield Claim(
        f"{name}: gain over hrrn at no larger p99",
        median(best(points, "tail=", points["hrrn"].p99) - points["hrrn"].gain for points in draws),
        OVER_HRRN,
        at_most=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="llama-3.1-8b-a100")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--loads", default="0.95,1,1.05,1.2")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="0: one a core")
    parser.add_argument("--json", type=Path, default=Path("results/boost.json"))
    options = parser.parse_args()
    sites, settings = sites_of(options.profile, options.slots), settings_of()
    steered = f"tail={PROMISE:g}"
    claims: list[Claim] = []
    details: dict[str, object] = {}
    rows = []
    with TemporaryDirectory() as folder:
        for kind in KINDS:
            traffic = traffic_of(kind, options.draws, sites, Path(folder))
            competing = contenders(kind, traffic.prediction, settings)
            for load in map(float, options.loads.split(",")):
                traces = [at_load(one, traffic.capacity_rps, load) for one in traffic.draws]
                scenario = Scenario(traces, sites, settings, Slo())
                draws = points_of(compare(scenario, competing, processes=options.processes))
                name = f"{kind.name} at {load:g}"
                claims += claims_of(name, draws)
                details[name] = {
                    label: [numbers(points[label]) for points in draws] for label in competing
                }
                fixed = median(best(points, "T=", PROMISE) for points in draws)
                at_hrrn = median(best(points, "tail=", points["hrrn"].p99) for points in draws)
                row = [name, *(cells(draws, label) for label in ("sjf", "hrrn", steered))]
                rows.append([*row, f"{fixed:.0%}", f"{at_hrrn:.0%}"])
                print(*rows[-1], sep=", ", flush=True)
    headings = ["", "sjf", "hrrn", f"boost, tail: {PROMISE:g}", "best T", "boost at p99 of hrrn"]
    show(table_console(), Results(headings, rows))
    return publish(claims, details, options.json)


def numbers(point: Point) -> dict[str, float]:
    return {"gain": point.gain, "p99_over_fcfs": point.p99, "worst_wait_s": point.worst_wait_s}


if __name__ == "__main__":
    raise SystemExit(main())
