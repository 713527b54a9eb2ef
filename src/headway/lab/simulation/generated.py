"""Generated traces: arrivals and lengths drawn from distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt

import numpy as np

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.trace import Trace

DAY_S = 86_400.0
ARRIVALS = "burst, poisson:RATE, gamma:RATE@CV (bursts where CV is above 1), day:RATE@SWING"
LENGTHS = "fixed:N, exponential:MEAN, lognormal:MEAN@CV, pareto:MEAN@ALPHA"

Draw = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """How to generate a trace; each text is one of ARRIVALS or of LENGTHS.

    Raises:
        SimulationError: on `make`, where one of them is none.
    """

    arrivals: str
    prompt: str = "lognormal:512@1"
    output: str = "lognormal:200@1"
    count: int = 1000

    def make(self, seed: int = 0) -> Trace:
        """The trace; equal seeds give equal ones."""
        rng = np.random.default_rng(seed)
        at_s = _parsed(self.arrivals, ARRIVAL_KINDS, ARRIVALS)(rng, self.count)
        prompts = _parsed(self.prompt, LENGTH_KINDS, LENGTHS)(rng, self.count)
        outputs = _parsed(self.output, LENGTH_KINDS, LENGTHS)(rng, self.count)
        return Trace(
            self.arrivals,
            at_s,
            np.maximum(1, np.rint(prompts)).astype(int),
            np.maximum(1, np.rint(outputs)).astype(int),
        )


def is_recipe(text: str) -> bool:
    """Whether `text` names arrivals instead of a file."""
    return text.partition(":")[0] in ARRIVAL_KINDS


def _parsed(text: str, kinds: dict[str, Callable[..., Draw]], known: str) -> Draw:
    name, _, arguments = text.partition(":")
    try:
        numbers = [float(number) for number in arguments.split("@")] if arguments else []
        if not all(0.0 < number < float("inf") for number in numbers):
            raise ValueError
        return kinds[name](*numbers)
    except (KeyError, ValueError, TypeError):
        raise SimulationError(f"cannot make {text!r}; there are {known}") from None


def _burst() -> Draw:
    return lambda rng, count: np.zeros(count)


def _poisson(rate: float) -> Draw:
    return lambda rng, count: np.cumsum(rng.exponential(1.0 / rate, count))


def _gamma(rate: float, cv: float) -> Draw:
    shape = 1.0 / cv**2
    return lambda rng, count: np.cumsum(rng.gamma(shape, 1.0 / rate / shape, count))


def _day(rate: float, swing: float) -> Draw:
    """Poisson; the rate swings by a share of its mean, up by day and down by night."""
    if swing > 1.0:
        raise ValueError

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        kept: list[np.ndarray] = []
        missing, now_s = count, 0.0
        while missing > 0:  # thinning (Lewis and Shedler 1979)
            at_s = now_s + np.cumsum(rng.exponential(1.0 / rate / (1.0 + swing), 2 * missing + 16))
            now_s = float(at_s[-1])
            share = (1.0 + swing * np.sin(2.0 * pi * at_s / DAY_S)) / (1.0 + swing)
            kept.append(at_s[rng.random(len(at_s)) < share])
            missing -= len(kept[-1])
        return np.concatenate(kept)[:count]

    return draw


def _fixed(tokens: float) -> Draw:
    return lambda rng, count: np.full(count, tokens)


def _exponential(mean: float) -> Draw:
    return lambda rng, count: rng.exponential(mean, count)


def _lognormal(mean: float, cv: float) -> Draw:
    spread = sqrt(log(1.0 + cv**2))
    return lambda rng, count: rng.lognormal(log(mean) - spread**2 / 2.0, spread, count)


def _pareto(mean: float, alpha: float) -> Draw:
    if alpha <= 1.0:
        raise ValueError  # its mean is infinite
    least = mean * (alpha - 1.0) / alpha
    return lambda rng, count: least * (1.0 + rng.pareto(alpha, count))


ARRIVAL_KINDS: dict[str, Callable[..., Draw]] = {
    "burst": _burst,
    "poisson": _poisson,
    "gamma": _gamma,
    "day": _day,
}
LENGTH_KINDS: dict[str, Callable[..., Draw]] = {
    "fixed": _fixed,
    "exponential": _exponential,
    "lognormal": _lognormal,
    "pareto": _pareto,
}
