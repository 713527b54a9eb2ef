"""When requests arrive: Poisson, in bursts, or as a trace recorded them."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from headway.text_files import TextFileError, reading


class ArrivalsError(ValueError):
    """The arrivals asked for cannot be made; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One arrival; from a trace, with the size of its request."""

    at_s: float
    """Seconds after the start of the load."""
    prompt_tokens: int | None = None
    output_tokens: int | None = None


def make_arrivals(
    spec: str, count: int, rng: random.Random, rate_scale: float = 1.0
) -> list[Arrival]:
    """The first `count` arrivals that `spec` describes, in order.

    Args:
        spec: `burst` (all at once), `burst:N@T` (N every T seconds), `poisson:RATE` (requests
            per second), or the path of a CSV file, plain, .gz or .zst, with a column `arrival_s`
            and, if it has them, `prompt_tokens` and `output_tokens`.
        count: arrivals to make; a trace may hold fewer.
        rng: draws the Poisson gaps.
        rate_scale: how many times faster than stated they come.

    Raises:
        ArrivalsError: `spec` is none of these, or the file cannot be used.
    """
    if rate_scale <= 0:
        raise ArrivalsError(f"the rate scale must be above 0, not {rate_scale:g}")
    name, _, argument = spec.partition(":")
    if name == "burst":
        arrivals = _bursts(argument, count)
    elif name == "poisson":
        arrivals = _poisson(argument, count, rng)
    else:
        arrivals = _trace(Path(spec), count)
    return [Arrival(a.at_s / rate_scale, a.prompt_tokens, a.output_tokens) for a in arrivals]


def _bursts(argument: str, count: int) -> list[Arrival]:
    if not argument:
        return [Arrival(0.0)] * count
    size, at, every = argument.partition("@")
    try:
        per_burst, every_s = int(size), float(every)
        if not at or per_burst < 1 or every_s <= 0:
            raise ValueError
    except ValueError:
        raise ArrivalsError(
            f"cannot read 'burst:{argument}'; write burst:N@T for N requests every T seconds"
        ) from None
    return [Arrival(index // per_burst * every_s) for index in range(count)]


def _poisson(argument: str, count: int, rng: random.Random) -> list[Arrival]:
    try:
        rate = float(argument)
        if not 0 < rate < float("inf"):
            raise ValueError
    except ValueError:
        raise ArrivalsError(
            f"cannot read 'poisson:{argument}'; write poisson:RATE, in requests per second"
        ) from None
    arrivals, now_s = [], 0.0
    for _ in range(count):
        now_s += rng.expovariate(rate)
        arrivals.append(Arrival(now_s))
    return arrivals


def _trace(path: Path, count: int) -> list[Arrival]:
    if not path.is_file():
        raise ArrivalsError(
            f"no arrivals {str(path)!r}; give burst, burst:N@T, poisson:RATE or a CSV file"
        )
    try:
        with reading(path) as file:
            arrivals = [
                Arrival(
                    _seconds(row["arrival_s"]),
                    int(row["prompt_tokens"]) if row.get("prompt_tokens") else None,
                    int(row["output_tokens"]) if row.get("output_tokens") else None,
                )
                for row in csv.DictReader(file)
            ]
    except KeyError:
        raise ArrivalsError(f"{path}: a trace needs a column named arrival_s") from None
    except TextFileError as error:
        raise ArrivalsError(str(error)) from None
    except (ValueError, TypeError) as error:
        raise ArrivalsError(f"{path}: cannot be read as a trace: {error}") from None
    if not arrivals:
        raise ArrivalsError(f"{path}: the trace has no rows")
    arrivals.sort(key=lambda arrival: arrival.at_s)
    first_s = arrivals[0].at_s
    return [Arrival(a.at_s - first_s, a.prompt_tokens, a.output_tokens) for a in arrivals[:count]]


def _seconds(cell: str) -> float:
    value = float(cell)
    if not isfinite(value):
        raise ValueError(f"arrival_s {cell} is no time")
    return value
