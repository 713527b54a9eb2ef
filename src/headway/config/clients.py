"""What clients may do, and how much."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    Field,
    field_validator,
)

from headway.config.money import BudgetConfig
from headway.config.section import (
    Count,
    Seconds,
    Section,
    TierName,
)


class KeyConfig(Section):
    """One API key that clients may use, known by its hash; `headway key new` makes one."""

    name: str
    sha256: str
    """SHA-256 of the key, in hex."""
    tenant: str | None = None
    """Tenant of its requests; else the key's name."""
    may_name_tenants: bool = False
    """Its requests may name other tenants, any of them: for a service that speaks for many."""
    admin: bool = False
    """It sees the requests of all tenants and the metrics, and may operate the gateway."""
    read_only: bool = False
    """It may only look, and asks for no work; with `admin`, at everything."""
    tier_ceiling: TierName = "interactive"
    """The highest tier that it may ask for."""
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    budget: BudgetConfig | None = None
    """What it may spend; null: any amount."""

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not (value.strip() and value.isprintable()):
            raise ValueError("a key needs a name of one line, such as chat-frontend")
        return value

    @field_validator("sha256")
    @classmethod
    def _is_a_hash(cls, value: str) -> str:
        if not re.fullmatch("[0-9a-fA-F]{64}", value):
            raise ValueError(
                "this is not the SHA-256 of a key, 64 hex digits; it looks like the key itself: "
                "run `headway key hash`, or `headway key new` for another key"
            )
        return value.lower()


class CorsConfig(Section):
    """Web pages of other origins that may use the gateway."""

    allow_origins: tuple[str, ...] = ()
    """Their origins, as https://app.example; `*`: all. Empty: none."""

    @field_validator("allow_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s?#@]+", origin):
                raise ValueError(
                    f"{origin!r} is not an origin; write SCHEME://HOST or SCHEME://HOST:PORT, "
                    "without a path, or *"
                )
        return origins


class LimitsConfig(Section):
    """What clients may take."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    max_bodies_bytes: Annotated[int, Field(ge=1024)] = 512 * 1024 * 1024
    """Of all requests under way; more are answered 503."""
    read_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """A client must have sent the head of a request after this time, and its body after as much
    again."""
    send_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """A client that reads nothing for so long loses its connection, and its slot."""
    keep_alive_s: Annotated[float, Field(gt=0)] = 10.0
    """A stream that is silent for so long gets a comment, lest a proxy cut it."""
    unavailable_wait_s: Seconds = 30.0
    """How long a request waits for a backend to come or come back before it is answered 503."""
    drain_s: Seconds = 30.0
    """How long a shutdown waits for what runs."""
