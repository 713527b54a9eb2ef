"""SLOs as text: `ttft=1s` for each request, `ttft_p99=1s` for all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution, Measures, Slo

UNITS_S = {"ms": 0.001, "min": 60.0, "s": 1.0}
QUANTITIES = {"ttft": "ttft_s", "tpot": "tpot_s", "latency": "latency_s", "wait": "wait_s"}
STATISTICS = ("mean", "p50", "p90", "p99", "max")


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of one statistic of one quantity."""

    quantity: str
    statistic: str
    limit_s: float

    def __str__(self) -> str:
        return f"{self.quantity.removesuffix('_s')}_{self.statistic}={self.limit_s:g}s"

    def value_s(self, measures: Measures) -> float:
        """The achieved value."""
        distribution: Distribution = getattr(measures, self.quantity)
        return float(getattr(distribution, self.statistic))

    def missed(self, measures: Measures) -> float:
        """By which share the limit is exceeded; 0 if it is met."""
        return max(0.0, self.value_s(measures) / self.limit_s - 1.0)


def are_met(targets: Sequence[Target], measures: Measures) -> bool:
    """Whether all targets are met without rejecting a request: rejected requests are in no
    statistic."""
    return not measures.rejected and not any(target.missed(measures) for target in targets)


def shortfall(targets: Sequence[Target], measures: Measures) -> str:
    """Why targets are not met, in words."""
    if measures.rejected:
        return f"{measures.rejected} of {measures.requests} requests were rejected"
    worst = max(targets, key=lambda target: target.missed(measures))
    return f"{worst} was missed by {worst.missed(measures):.0%}"


def parse_slo(text: str) -> Slo:
    """What each request must achieve, from `ttft=1s,tpot=50ms,latency=30s`.

    Raises:
        SimulationError: a quantity or a time is not one.
    """
    limits: dict[str, float] = {}
    for name, limit_s in _parts(text):
        if name not in ("ttft", "tpot", "latency"):
            raise SimulationError(f"no SLO {name!r}; write ttft=1s, tpot=50ms or latency=30s")
        limits[QUANTITIES[name]] = limit_s
    return Slo(**limits)


def parse_targets(text: str) -> list[Target]:
    """What all requests together must achieve, from `ttft_p99=1s,latency_mean=10s`.

    Raises:
        SimulationError: there is none, or one is none.
    """
    targets = []
    for name, limit_s in _parts(text):
        quantity, _, statistic = name.partition("_")
        if quantity not in QUANTITIES or statistic not in STATISTICS:
            raise SimulationError(
                f"no SLO {name!r}; write one of {', '.join(QUANTITIES)} with one of "
                f"{', '.join(STATISTICS)}, as ttft_p99=1s"
            )
        targets.append(Target(QUANTITIES[quantity], statistic, limit_s))
    if not targets:
        raise SimulationError("say what is to be achieved, as --slo ttft_p99=1s")
    return targets


def _parts(text: str) -> list[tuple[str, float]]:
    parts = (part.partition("=") for part in text.split(",") if part.strip())
    return [(name.strip(), seconds(time)) for name, _, time in parts]


def seconds(text: str) -> float:
    """Seconds from `50ms`, `1.5s`, `2min` or a plain number of seconds.

    Raises:
        SimulationError: it is no time above 0.
    """
    number, factor = text.strip(), 1.0
    for unit, size in UNITS_S.items():
        if number.endswith(unit):
            number, factor = number.removesuffix(unit), size
            break
    try:
        value = float(number) * factor
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise SimulationError(f"{text!r} is no time; write 50ms, 1.5s or 2min")
    return value
