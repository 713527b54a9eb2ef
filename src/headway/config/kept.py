"""What is written down, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
)

from headway.config.money import DailyBudgetConfig
from headway.config.section import (
    Count,
    Section,
)
from headway.daily_hours import ZonedHours
from headway.state_folder import state_folder


class LogConfig(Section):
    """What is written down."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    requests_db: Path | None = Field(default_factory=lambda: default_requests_db())
    """SQLite file that gets one row for every request; null: none."""
    prompts: bool = False
    """Whether that row holds the prompt's text."""
    keep_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Older rows are deleted; null: none are."""
    events: Path | None = None
    """File that gets every event and decision of the scheduler, for `headway trace replay`; null:
    none. It is begun anew at every start."""


class TracesConfig(Section):
    """Traces of requests, in OpenTelemetry's format."""

    endpoint: str | None = None
    """Address of a collector that takes OTLP over HTTP; null: none are sent."""
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the traces that begin here; one that a client has begun is sampled if it says so."""

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            raise ValueError("write it as http://HOST:4318")
        return endpoint


class ResponsesConfig(Section):
    """Which responses of `/v1/responses` are kept, beside the request log."""

    max_age_days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    """Older ones are deleted; 0: none are kept."""
    max_mb: Count = 1024
    """Prompts and answers of all of them together; the oldest ones above it are deleted."""


class BatchConfig(Section):
    """Files and batches of `/v1/files` and `/v1/batches`."""

    folder: Path | None = None
    """Where they are kept; null: in `batches`, beside the request log."""
    database: str | None = None
    """`postgresql://USER@HOST/DATABASE` that has them for gateways on several hosts; null: the
    folder has them."""
    max_file_mb: Count = 200
    """A larger upload is answered 413."""
    max_lines: Count = 50_000
    """Requests in one batch."""
    window: str | None = None
    """When lines may begin, as "22:00-06:00 Europe/Berlin"; null: at all hours."""
    budget: DailyBudgetConfig | None = None
    """What lines may spend each day; what is left waits for the next one. null: any amount."""

    @field_validator("database")
    @classmethod
    def _is_postgresql(cls, database: str | None) -> str | None:
        if database is not None and not database.startswith(("postgresql://", "postgres://")):
            raise ValueError("it must begin with postgresql://")
        return database

    @field_validator("window")
    @classmethod
    def _is_a_window(cls, window: str | None) -> str | None:
        if window is not None:
            ZonedHours.parse(window)
        return window


def default_requests_db() -> Path:
    """Where the request log lies on this system, for this user."""
    return state_folder() / "requests.db"
