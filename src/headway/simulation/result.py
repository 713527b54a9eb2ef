"""What a comparison found: rows of runs, and their layout as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev

import headway
from headway.report.gain import gain_captured
from headway.simulation.comparison import ORACLE, Run
from headway.simulation.measures import Measures

T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Student's t for 95% with 1, 2, … degrees of freedom; beyond it is about 2."""


@dataclass(frozen=True)
class SimulationResult:
    """All rows of one comparison."""

    runs: Mapping[str, list[Run]]
    """By label; one run a seed."""
    settings: Mapping[str, object]
    """What was asked for, by the names of the options."""

    def mean(self, label: str, *path: str) -> float:
        """The mean over seeds of one number of Measures, as `mean("fcfs", "latency_s", "p99")`."""
        return fmean(_number(run.measures, path) for run in self.runs[label])

    def interval(self, label: str, *path: str) -> float | None:
        """Half of its 95% confidence interval over seeds; None of one seed."""
        values = [_number(run.measures, path) for run in self.runs[label]]
        if len(values) < 2:
            return None
        t = T_95[len(values) - 2] if len(values) - 2 < len(T_95) else 2.0
        return t * stdev(values) / sqrt(len(values))

    def gain(self, label: str) -> float | None:
        """Oracle gain captured; None unless both are there and there is something to gain."""
        if not {"fcfs", ORACLE} <= set(self.runs):
            return None
        means_s = (self.mean(name, "latency_s", "mean") for name in ("fcfs", label, ORACLE))
        return gain_captured(*means_s)

    def to_json(self) -> dict[str, object]:
        """`settings` and `policies`: by label the numbers of Measures (means over seeds), its
        `oracle_gain_captured`, and with several seeds `latency_mean_interval_s`."""
        return {
            "headway": headway.__version__,
            "settings": dict(self.settings),
            "policies": {
                label: {
                    **_mean_of([asdict(run.measures) for run in runs]),
                    "oracle_gain_captured": self.gain(label),
                    "latency_mean_interval_s": self.interval(label, "latency_s", "mean"),
                }
                for label, runs in self.runs.items()
            },
        }

    def to_csv(self) -> str:
        """One row a policy and seed; nested numbers as `latency_s.p99`."""
        text = io.StringIO()
        rows = [
            {"policy": label, "seed": run.seed, **_flat(asdict(run.measures))}
            for label, runs in self.runs.items()
            for run in runs
        ]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def _number(measures: Measures, path: tuple[str, ...]) -> float:
    value: object = measures
    for name in path:
        value = getattr(value, name)
    assert isinstance(value, float | int)
    return float(value)


def _mean_of(rows: list[dict[str, object]]) -> dict[str, object]:
    means: dict[str, object] = {}
    for name, value in rows[0].items():
        if isinstance(value, dict):
            means[name] = _mean_of([row[name] for row in rows])  # type: ignore[misc]
        else:
            means[name] = fmean(row[name] for row in rows)  # type: ignore[misc]
    return means


def _flat(row: dict[str, object], before: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = value
    return flat
