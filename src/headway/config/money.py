"""What work costs, and how much may be spent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from headway.config.section import Section
from headway.daily_hours import ZonedHours
from headway.prices.hours import HourlyPrice
from headway.prices.table import BackendPrice, Prices, SpotCommand
from headway.prices.tokens import TokenPrice

Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""In the currency of the operator."""


class TokenPriceConfig(Section):
    """The price of a million tokens of a model."""

    input: Money
    output: Money
    cached_input: Money | None = None
    """Of prompt tokens that came from a cache; null: as others."""

    def price(self) -> TokenPrice:
        """As a plain value."""
        return TokenPrice(self.input, self.output, self.cached_input)


class BackendPriceConfig(Section):
    """What one backend costs: by the token, or by the hour."""

    models: dict[str, TokenPriceConfig] = Field(default={})
    """Token prices that hold on it alone."""
    hour: Money | None = None
    """Of an hour, shared by what runs on it; null: only at the hours of `by_hour`, or printed by
    `command`."""
    by_hour: dict[str, Money] = Field(default={})
    """Other prices of an hour at some hours of the day, as "22:00-06:00 Europe/Berlin"."""
    command: str | None = None
    """For the shell: it prints the price of an hour, now; until it first does, `hour` counts."""
    every_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 300.0
    """How often the command runs."""
    limit_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """The command is stopped after so long."""

    @field_validator("by_hour")
    @classmethod
    def _are_hours(cls, by_hour: dict[str, float]) -> dict[str, float]:
        for hours in by_hour:
            ZonedHours.parse(hours)
        return by_hour

    @model_validator(mode="after")
    def _has_a_price(self) -> BackendPriceConfig:
        if not (self.models or self.by_hour or self.command) and self.hour is None:
            raise ValueError("has no price; write hour: 2.50, or models: with prices of tokens")
        return self

    def price(self) -> BackendPrice:
        """As plain values."""
        hourly = None
        if self.hour is not None or self.by_hour or self.command:
            by_hour = ((ZonedHours.parse(at), price) for at, price in self.by_hour.items())
            hourly = HourlyPrice(self.hour, tuple(by_hour))
        return BackendPrice(
            {model: one.price() for model, one in self.models.items()},
            hourly,
            SpotCommand(self.command, self.every_s, self.limit_s) if self.command else None,
        )


class PricesConfig(Section):
    """What models and backends cost; what has no price costs an unknown amount."""

    models: dict[str, TokenPriceConfig] = Field(default={})
    """By model, on all backends without a price of their own."""
    backends: dict[str, BackendPriceConfig] = Field(default={})
    """By the name of the backend; `embedded` is the embedded engine."""

    def prices(self) -> Prices:
        """As plain values."""
        return Prices(
            {model: one.price() for model, one in self.models.items()},
            {name: one.price() for name, one in self.backends.items()},
        )


class DailyBudgetConfig(Section):
    """What may be spent each day; days begin at midnight UTC."""

    tokens_per_day: Annotated[int, Field(ge=0)] | None = None
    """Prompt and output tokens together."""
    money_per_day: Money | None = None


class BudgetConfig(DailyBudgetConfig):
    """What may be spent each day and each month, and what happens when it is spent."""

    tokens_per_month: Annotated[int, Field(ge=0)] | None = None
    money_per_month: Money | None = None
    when_spent: Literal["refuse", "downgrade"] = "refuse"
    """`refuse`: 429 until it begins anew. `downgrade`: requests run all the same, in tier batch or
    on another model."""
    downgrade_to: str | None = None
    """The model that requests run on then; null: their own, in tier batch."""

    @model_validator(mode="after")
    def _says_where_to(self) -> BudgetConfig:
        if self.downgrade_to is not None and self.when_spent == "refuse":
            raise ValueError("downgrade_to needs when_spent: downgrade")
        return self
