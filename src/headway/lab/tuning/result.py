"""What a sweep found, in words and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import ceil, floor, log10

from headway.lab.report.figures import figures, share
from headway.lab.simulation.slo import Objective
from headway.lab.tuning.durations import MeasuredDurations
from headway.lab.tuning.front import achieved, front
from headway.lab.tuning.sweep import Point, Swept


def advice(best: Point, objective: Objective) -> str:
    """What the recommended setting achieves."""
    return (
        f"Up to {figures(best.rate_per_s)} items a second, {share(best.load)} of the capacity, "
        f"{best.setting} meets {objective}: {achieved(best, objective)}."
    )


def unasked(points: Sequence[Point]) -> str:
    """What to ask for to get a recommendation: a p99 that some setting has at the highest load."""
    highest = max(point.load for point in points)
    least_s = min(point.latency_s.p99 for point in points if point.load == highest)
    step_s = 10.0 ** floor(log10(least_s))
    within_ms = 1e3 * step_s * ceil(least_s / step_s)
    return (
        "No SLO, no recommendation: say what latency items may have, as --slo "
        f"p99={within_ms:g}ms, which the best setting at a load of {share(highest)} meets."
    )


def fit_line(durations: MeasuredDurations, swept: Swept) -> str:
    """The fitted curve of batch durations, and the capacity."""
    curve = durations.curve
    return (
        f"Fitted: {1e3 * curve.fixed_s:.3g} ms a batch, {1e3 * curve.item_s:.3g} ms an item, "
        f"{1e3 * curve.token_s:.3g} ms a padded token, off by {curve.spread:.0%}; repeats vary by "
        f"{durations.spread:.0%}. At most {figures(swept.capacity_per_s)} items a second."
    )


def to_json(
    asked: Mapping[str, str],
    durations: MeasuredDurations,
    swept: Swept,
    best: Point | None,
    remarks: Sequence[str],
) -> dict[str, object]:
    """The layout of `--json`; `remarks` are what is said of the result."""
    curve = durations.curve
    fronts = {statistic: front(swept.points, statistic) for statistic in ("mean", "p99")}
    return {
        "settings": dict(asked),
        "remarks": list(remarks),
        "durations": {
            "sizes": durations.sizes,
            "lengths": durations.lengths,
            "took_s": durations.took_s.tolist(),
        },
        "curve": {
            "fixed_s": curve.fixed_s,
            "item_s": curve.item_s,
            "token_s": curve.token_s,
            "spread": curve.spread,
        },
        "capacity_per_s": swept.capacity_per_s,
        "points": [
            asdict(point)
            | {
                "setting": point.setting.options(),
                "front": [name for name, of in fronts.items() if point in of],
            }
            for point in swept.points
        ],
        "recommended": None if best is None else swept.points.index(best),
    }
