"""All prices: of models, and of backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headway.prices.hours import HourlyPrice
from headway.prices.tokens import TokenPrice


@dataclass(frozen=True, slots=True)
class SpotCommand:
    """A command that prints the price of an hour."""

    command: str
    """For the shell."""
    every_s: float = 300.0
    limit_s: float = 30.0
    """It is stopped after so long."""


@dataclass(frozen=True, slots=True)
class BackendPrice:
    """What one backend costs: by the token, or by the hour."""

    models: Mapping[str, TokenPrice] = field(default_factory=dict)
    """Token prices that hold on it alone."""
    hourly: HourlyPrice | None = None
    """For models that it has no token price for."""
    spot: SpotCommand | None = None
    """Prints the price of an hour, instead of `hourly.hour`; None: that one stays."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of an operator; what has none costs an unknown amount, never nothing."""

    models: Mapping[str, TokenPrice] = field(default_factory=dict)
    """By model, on all backends without a price of their own."""
    backends: Mapping[str, BackendPrice] = field(default_factory=dict)

    def of(self, backend: str, model: str) -> TokenPrice | HourlyPrice | None:
        """The price of `model` on `backend`: its token price there, else the backend's hours,
        else the model's price anywhere; None: it has none."""
        there = self.backends.get(backend)
        if there is not None:
            if model in there.models:
                return there.models[model]
            if there.hourly is not None:
                return there.hourly
        return self.models.get(model)

    def __bool__(self) -> bool:
        return bool(self.models or self.backends)
