"""Prices of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

MILLION = 1e6


class PriceError(ValueError):
    """A price cannot be used; the message says which and what to write."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that one run of a model took and made."""

    prompt: int = 0
    """Including the cached ones."""
    cached: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """The price of a million tokens of a model, in the currency of the operator.

    Raises:
        PriceError: one of them is negative or no number.
    """

    input: float
    output: float
    cached_input: float | None = None
    """Of prompt tokens that came from a cache; None: as others."""

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached_input"):
            checked_price(getattr(self, name), name)

    def cost(self, tokens: Tokens) -> float:
        """What these tokens cost."""
        cached = min(tokens.cached, tokens.prompt)
        of_cached = self.input if self.cached_input is None else self.cached_input
        fresh_cost = (tokens.prompt - cached) * self.input
        return (fresh_cost + cached * of_cached + tokens.output * self.output) / MILLION


def checked_price(price: float | None, name: str) -> float | None:
    """`price`, if it can be one. Raises PriceError."""
    if price is not None and not (isfinite(price) and price >= 0.0):
        raise PriceError(f"{name} is {price}; a price is a number from 0 on")
    return price
