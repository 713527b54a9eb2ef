"""The result of a comparison: runs, and their layout as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev

import headway
from headway.lab.report.gain import gain_captured
from headway.lab.simulation.comparison import ORACLE, Run, label_of, parts_of
from headway.lab.simulation.measures import Measures
from headway.lab.simulation.slo import NOTHING, Objective

T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t for 95% with 1, 2, … degrees of freedom; `_t_95` goes on."""
INTERVALS = {
    "latency_mean_interval_s": ("latency_s", "mean"),
    "latency_p99_interval_s": ("latency_s", "p99"),
    "ttft_mean_interval_s": ("ttft_s", "mean"),
    "throughput_interval_tokens_per_s": ("throughput_tokens_per_s",),
}
"""Half of 95% confidence intervals over seeds that JSON and CSV have, and of which number."""


@dataclass(frozen=True)
class SimulationResult:
    """All rows of one comparison."""

    runs: Mapping[str, list[Run]]
    """By label (`comparison.label_of`); one run a seed."""
    settings: Mapping[str, object]
    """The options, by name."""
    objective: Objective = NOTHING
    """What was asked of a run."""
    remarks: Sequence[str] = ()
    """What is said before the table."""

    def met(self, label: str) -> bool:
        """Whether the runs of a row achieve what was asked for, with every seed."""
        return all(self.objective.met(run.measures) for run in self.runs[label])

    def mean(self, label: str, *path: str) -> float:
        """The mean over seeds of one number of Measures, as `mean("fcfs", "latency_s", "p99")`."""
        return fmean(_number(run.measures, path) for run in self.runs[label])

    def interval(self, label: str, *path: str) -> float | None:
        """Half of its 95% confidence interval over seeds; None of one seed, and where seeds change
        nothing, as under fcfs on recorded requests: that is no sample."""
        values = [_number(run.measures, path) for run in self.runs[label]]
        if len(set(values)) < 2:
            return None
        return _t_95(len(values) - 1) * stdev(values) / sqrt(len(values))

    def gain(self, label: str, seed: int | None = None) -> float | None:
        """Oracle gain captured, over all seeds or of one; None unless `fcfs` and the oracle are
        there under the same routing and reject as many, and there is something to gain."""
        _, routing = parts_of(label)
        names = label_of("fcfs", routing), label, label_of(ORACLE, routing)
        if not set(names) <= set(self.runs):
            return None
        rows = [
            [run.measures for run in self.runs[name] if seed is None or run.seed == seed]
            for name in names
        ]
        if len({sum(one.rejected for one in row) for row in rows}) > 1:
            return None  # who rejects more has less to serve: its mean is of other requests
        return gain_captured(*(fmean(one.latency_s.mean for one in row) for row in rows))

    def to_json(self, by_load: Mapping[float, SimulationResult] | None = None) -> dict[str, object]:
        """`settings`, `remarks`, and `policies`: by label the numbers of Measures (means over
        seeds), its `oracle_gain_captured`, `slo_met` where the SLO has a target, and INTERVALS,
        which are null of one seed, or of seeds that change nothing; and `loads`, the policies of
        `by_load`."""
        found: dict[str, object] = {
            "headway": headway.__version__,
            "settings": dict(self.settings),
            "remarks": list(self.remarks),
            "policies": self._policies(),
        }
        if by_load:
            found["loads"] = {f"{load:g}": of._policies() for load, of in by_load.items()}
        return found

    def to_csv(self) -> str:
        """One row a policy and seed; nested numbers as `latency_s.p99`, and in every row of a
        policy its INTERVALS over seeds."""
        text = io.StringIO()
        rows = [
            {
                "policy": label,
                "seed": run.seed,
                **_flat(asdict(run.measures)),
                "oracle_gain_captured": self.gain(label, run.seed),
                **({"slo_met": self.objective.met(run.measures)} if self.objective.targets else {}),
                **self._intervals(label),
            }
            for label, runs in self.runs.items()
            for run in runs
        ]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def _policies(self) -> dict[str, object]:
        return {
            label: {
                **_mean_of([asdict(run.measures) for run in runs]),
                "oracle_gain_captured": self.gain(label),
                **({"slo_met": self.met(label)} if self.objective.targets else {}),
                **self._intervals(label),
            }
            for label, runs in self.runs.items()
        }

    def _intervals(self, label: str) -> dict[str, float | None]:
        return {name: self.interval(label, *path) for name, path in INTERVALS.items()}


def _t_95(freedom: int) -> float:
    """Student's t for 95%; from 31 degrees of freedom on to three decimals, by how fast it nears
    that of the normal distribution."""
    if freedom <= len(T_95):
        return T_95[freedom - 1]
    return 1.96 + 2.372 / freedom + 2.82 / freedom**2


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
