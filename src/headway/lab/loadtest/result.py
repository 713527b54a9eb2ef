"""The result of a load test: rows of runs, and their layout as JSON."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import headway
from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.metrics import Summary, slowdown, wait_s
from headway.lab.loadtest.solo import SoloTime
from headway.lab.report.gain import gain_captured


@dataclass(frozen=True)
class Row:
    """One line of the table: a policy, or a server, and its repeated runs."""

    label: str
    runs: tuple[tuple[RequestResult, ...], ...]
    solo: SoloTime
    oracle: bool = False
    """Whether it knew the length of every answer."""

    @cached_property
    def summaries(self) -> list[Summary]:
        """One summary a run."""
        return [Summary.of(run, self.solo) for run in self.runs]

    @cached_property
    def summary(self) -> Summary:
        """The median of each number over the runs."""
        return Summary.median_of(self.summaries)

    @property
    def outcomes(self) -> list[RequestResult]:
        """Those of all runs."""
        return [outcome for run in self.runs for outcome in run]


@dataclass(frozen=True)
class BenchResult:
    """All rows of one measurement, made with the same requests."""

    rows: tuple[Row, ...]
    settings: Mapping[str, object]
    """The options, by name."""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def oracle_gain_captured(self, row: Row) -> float | None:
        """Share of the oracle's gain over FCFS; None unless both are among the rows, and as many
        requests were answered."""
        fcfs = next((other for other in self.rows if other.label == "fcfs"), None)
        oracle = next((other for other in self.rows if other.oracle), None)
        if fcfs is None or oracle is None:
            return None
        if len({r.summary.errors for r in (fcfs, row, oracle)}) > 1:
            return None
        means_s = (r.summary.latency_mean_s for r in (fcfs, row, oracle))
        return gain_captured(*means_s)

    def to_json(self, remarks: Sequence[str] = ()) -> dict[str, object]:
        """The layout of `--json`; every time is in seconds, as the names say.

        `remarks` (what is said before the table), `settings` (options), `machine`, `created`, and
        `rows`, each with `label`, `oracle`, `oracle_gain_captured` (null unless fcfs and an oracle
        are there), `solo` (SoloTime), `summary` (medians over the runs, see metrics.Summary) and
        `runs`: each a `summary` and its `requests` in order of arrival.
        """
        return {
            "headway": headway.__version__,
            "created": self.created.isoformat(timespec="seconds"),
            "machine": f"{platform.system()} {platform.machine()}, Python "
            f"{platform.python_version()}",
            "settings": dict(self.settings),
            "remarks": list(remarks),
            "rows": [
                {
                    "label": row.label,
                    "oracle": row.oracle,
                    "oracle_gain_captured": self.oracle_gain_captured(row),
                    "solo": asdict(row.solo),
                    "summary": asdict(row.summary),
                    "runs": [
                        {
                            "summary": asdict(summary),
                            "requests": [_request_json(outcome, row.solo) for outcome in run],
                        }
                        for summary, run in zip(row.summaries, row.runs, strict=True)
                    ],
                }
                for row in self.rows
            ],
        }


def _request_json(outcome: RequestResult, solo: SoloTime) -> dict[str, object]:
    request = outcome.request
    return {
        "at_s": round(request.at_s, 6),
        "sent_s": round(outcome.sent_s, 6),
        "tier": request.tier,
        "tenant": request.tenant,
        "max_tokens": request.max_tokens,
        "expected_tokens": request.expected_tokens,
        "prompt_tokens": outcome.prompt_tokens,
        "output_tokens": outcome.output_tokens,
        "latency_s": round(outcome.latency_s, 6),
        "ttft_s": None if outcome.ttft_s is None else round(outcome.ttft_s, 6),
        "wait_s": round(wait_s(outcome, solo), 6),
        "slowdown": round(slowdown(outcome, solo), 4),
        "preemptions": outcome.preemptions,
        "finish_reason": outcome.finish_reason,
        "error": outcome.error,
    }
