"""The settings of the gateway, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.prices.table import Prices


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """What may be spent each day and each month (UTC); None: any amount."""

    tokens_per_day: float | None = None
    tokens_per_month: float | None = None
    money_per_day: float | None = None
    money_per_month: float | None = None
    when_spent: Literal["refuse", "downgrade"] = "refuse"
    downgrade_to: str = ""
    """The model that requests run on then; empty: the one that they ask for, in tier batch."""

    def limits(self) -> Iterator[tuple[Literal["tokens", "money"], Literal["day", "month"], float]]:
        """Each limit there is, with its unit and period."""
        if self.tokens_per_day is not None:
            yield "tokens", "day", self.tokens_per_day
        if self.tokens_per_month is not None:
            yield "tokens", "month", self.tokens_per_month
        if self.money_per_day is not None:
            yield "money", "day", self.money_per_day
        if self.money_per_month is not None:
            yield "money", "month", self.money_per_month


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of the gateway. Only the hash of the key is kept."""

    name: str
    sha256: str
    """SHA-256 of the key, in hex."""
    tenant: str | None = None
    """Tenant of its requests; None: the key's name."""
    may_name_tenants: bool = False
    """Whether its requests may name any tenant: for a service that acts for many."""
    admin: bool = False
    """Whether it may see all requests and metrics, and operate the gateway."""
    read_only: bool = False
    """Whether it may only look: it changes nothing, and asks for no work."""
    max_tier: Tier | None = None
    """The best tier that it may use; a request for a better tier gets this one."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and output tokens together."""
    budget: BudgetSettings | None = None
    """What it may spend; None: any amount."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """A worker of workflows, whose runs the console shows."""

    name: str
    url: str
    """Of its API."""
    key: str | None = None
    """What it asks of its clients; None: nothing."""
    tenant: str = ""
    """Whose runs they are; empty: only admins see them."""


@dataclass(frozen=True, slots=True)
class AutoSettings:
    """How the gateway chooses its policy by itself."""

    every_s: float = 300.0
    """Time between two replays."""
    window_s: float = 1800.0
    """Traffic to replay: the newest of so many seconds."""
    slo: str = ""
    """Targets such as `ttft_p99=1s`: they come before mean latency; empty: none."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Settings of one gateway process."""

    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    auto: AutoSettings | None = None
    """How to choose the policy by itself, beginning with that of `scheduler`; None: it stays."""
    keys: tuple[ApiKey, ...] = ()
    """Empty: everybody who can connect may use the gateway."""
    workers: tuple[WorkerSettings, ...] = ()
    prices: Prices = field(default_factory=Prices)
    tenant_budgets: Mapping[str, BudgetSettings] = field(default_factory=dict)
    """What tenants may spend."""
    batch_budget: BudgetSettings | None = None
    """What lines of batches may spend; None: any amount."""
    host: str = "127.0.0.1"
    port: int = 8080
    """0: any free port."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Models by alias; `*` in an alias matches any text."""
    base_path: str = ""
    """Requests may have it before their path: where a proxy has the gateway, such as `/headway`."""
    hosts: tuple[str, ...] = ()
    """Further names of the gateway; see `Browsers`."""
    allow_origins: tuple[str, ...] = ()
    """Origins of web pages that may use the gateway; `*`: all."""
    default_tier: Tier = Tier.STANDARD
    tls_cert: Path | None = None
    """PEM file with the certificate chain; None: plain HTTP."""
    tls_key: Path | None = None
    """PEM file with the certificate's key; None: it is in `tls_cert`."""
    max_body_bytes: int = 16 * 1024 * 1024
    max_bodies_bytes: int = 512 * 1024 * 1024
    """Maximum size of the bodies of all requests in progress."""
    read_timeout_s: float = 30.0
    """Time limit for a client to send the header of a request, and again for the body."""
    send_timeout_s: float = 60.0
    """A client that reads nothing for this long loses its connection and its slot."""
    keep_alive_s: float = 10.0
    """A stream that is silent for this long gets a comment."""
    drain_s: float = 30.0
    """How long a graceful shutdown waits for requests to finish."""
    unavailable_wait_s: float = 30.0
    """How long a request waits for an available backend before it is answered 503."""
    fallback_policy: str = "fcfs"
    """Policy to use while predictions are not trusted."""
    ask_lengths: bool = False
    """Whether models are first asked how long their answers will be."""
    attempts: int = 5
    """Runs in a row that may fail without a new token before a request fails."""
