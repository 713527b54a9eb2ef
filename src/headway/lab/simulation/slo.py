"""SLOs as text, the same everywhere: `ttft_p95=1s` for all requests together, and
`ttft=1s,goodput=95%` for the share of those that each achieve something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from headway.lab.report.figures import figures_beside, share_beside
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Distribution, Measures, Slo

UNITS_S = {"ms": 0.001, "min": 60.0, "s": 1.0, "h": 3600.0}
OF_ONE = {"ttft": "ttft_s", "tpot": "tpot_s", "latency": "latency_s"}
"""Limits of each request, and what Slo calls them."""
QUANTITIES = OF_ONE | {"wait": "wait_s"}
STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")
GOODPUT = "goodput"
HOW = (
    "write a statistic of all requests, as ttft_p95=1s, or limits of each and the share of those "
    "within them, as ttft=1s,tpot=50ms,goodput=95%"
)


class Achieved(Protocol):
    """What a run achieved: Measures, or what has the numbers that targets ask for."""

    @property
    def latency_s(self) -> Distribution:
        """From sending a request to its last token."""
        ...

    @property
    def goodput(self) -> float:
        """Share of the requests that were within their limits."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of one statistic of one quantity."""

    quantity: str
    statistic: str
    limit_s: float

    def __str__(self) -> str:
        return f"{self.quantity.removesuffix('_s')}_{self.statistic}={self.limit_s:g}s"

    def value_s(self, achieved: Achieved) -> float:
        """The achieved value."""
        return float(getattr(getattr(achieved, self.quantity), self.statistic))

    def met(self, achieved: Achieved) -> bool:
        """Whether the value is within the limit."""
        return self.value_s(achieved) <= self.limit_s

    def missed(self, achieved: Achieved) -> float:
        """By which share the limit is exceeded; 0 if it is met."""
        return max(0.0, self.value_s(achieved) / self.limit_s - 1.0)

    def reached(self, achieved: Achieved) -> str:
        """The achieved value in words, on its side of the limit."""
        return f"{figures_beside(self.value_s(achieved), self.limit_s)} s"


@dataclass(frozen=True, slots=True)
class GoodputTarget:
    """The least share of requests that must be within their limits."""

    least: float

    def __str__(self) -> str:
        return f"{GOODPUT}={100.0 * self.least:g}%"

    def met(self, achieved: Achieved) -> bool:
        """Whether the share is large enough."""
        return achieved.goodput >= self.least

    def missed(self, achieved: Achieved) -> float:
        """By which share of itself it is missed; 0 if it is met."""
        return max(0.0, 1.0 - achieved.goodput / self.least)

    def reached(self, achieved: Achieved) -> str:
        """The achieved share in words, on its side of the least one."""
        return share_beside(achieved.goodput, self.least)


@dataclass(frozen=True, slots=True)
class Objective:
    """What is asked of a run."""

    request: Slo = field(default_factory=Slo)
    """Limits that a request must be within to count as goodput."""
    statistics: tuple[Target, ...] = ()
    goodput: GoodputTarget | None = None

    @property
    def targets(self) -> tuple[Target | GoodputTarget, ...]:
        """All that has to be achieved."""
        return (*self.statistics, *((self.goodput,) if self.goodput is not None else ()))

    def __str__(self) -> str:
        limits = (
            f"{name}={limit_s:g}s"
            for name, of in OF_ONE.items()
            if (limit_s := getattr(self.request, of)) is not None
        )
        return ", ".join([*limits, *map(str, self.targets)])

    def met(self, measures: Measures) -> bool:
        """Whether all targets are met, and statistics without rejecting a request: rejected
        requests are in none, while goodput counts them as missed."""
        if self.statistics and measures.rejected:
            return False
        return all(target.met(measures) for target in self.targets)

    def missed(self, measures: Measures) -> float:
        """By which share the worst target is missed; 0 if all are met, or there is none."""
        return max((target.missed(measures) for target in self.targets), default=0.0)

    def shortfall(self, measures: Measures) -> str:
        """Why targets are not met, in words."""
        if self.statistics and measures.rejected:
            return f"{measures.rejected} of {measures.requests} requests were rejected"
        worst = max(self.targets, key=lambda target: target.missed(measures))
        return f"{worst} was missed by {share_of(worst.missed(measures))}"


def share_of(missed: float) -> str:
    """By which share a target is missed, in words: never by nothing."""
    return f"{missed:.0%}" if missed >= 0.005 else "less than 1%"


NOTHING = Objective()
"""Whatever a run achieves is enough."""


def parse_slo(text: str) -> Objective:
    """An SLO, from `ttft_p95=1s,latency_mean=10s` or `ttft=1s,tpot=50ms,goodput=95%`, or both.

    `p95=1s` is of latency.

    Raises:
        SimulationError: a name, a time or a share is none, or occurs twice.
    """
    limits: dict[str, float] = {}
    statistics: list[Target] = []
    goodput: GoodputTarget | None = None
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    names = [name.strip() for name, _, _ in parts]
    for name in names:
        if names.count(name) > 1:
            raise SimulationError(f"the SLO says {name!r} twice; leave one of them out")
    for name, (_, _, value) in zip(names, parts, strict=True):
        quantity, _, statistic = name.partition("_")
        if name in STATISTICS:
            quantity, statistic = "latency", name
        if name in OF_ONE:
            limits[OF_ONE[name]] = seconds(value)
        elif name == GOODPUT:
            goodput = GoodputTarget(_share(value))
        elif quantity in QUANTITIES and statistic in STATISTICS:
            statistics.append(Target(QUANTITIES[quantity], statistic, seconds(value)))
        else:
            raise SimulationError(
                f"no SLO {name!r}; {HOW}: of {', '.join(QUANTITIES)} there are "
                f"{', '.join(STATISTICS)}"
            )
    if goodput is not None and not limits:
        raise SimulationError(
            f"{goodput} is the share of requests that are within their limits; write those, too, "
            f"as --slo ttft=1s,{goodput}"
        )
    return Objective(Slo(**limits), tuple(statistics), goodput)


def parse_objective(text: str) -> Objective:
    """An SLO that a run meets or not: with a target.

    Raises:
        SimulationError: as `parse_slo`; or there is no target.
    """
    objective = parse_slo(text)
    if objective.targets:
        return objective
    if objective.request != Slo():
        raise SimulationError(
            f"say how many requests are to achieve {objective}: --slo {text},goodput=95%"
        )
    raise SimulationError(f"say what is to be achieved: {HOW}")


def _share(text: str) -> float:
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100.0 if number.endswith("%") else 1.0)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 1.0:
        raise SimulationError(f"{text!r} is no share of requests; write 95% or 0.95")
    return value


def seconds(text: str) -> float:
    """Seconds from `50ms`, `1.5s`, `2min`, `1h` or a plain number of seconds.

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
