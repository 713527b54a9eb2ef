"""What an operator decides about the gateway, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One client of the gateway. The key itself is never kept, only its hash."""

    name: str
    sha256: str
    """SHA-256 of the key, in hex."""
    tenant: str | None = None
    """Tenant of its requests; else the key's name."""
    may_name_tenants: bool = False
    """Its requests may name any tenant: it is a service that speaks for many."""
    admin: bool = False
    """It sees everybody's requests and may unload models."""
    max_tier: Tier | None = None
    """The best tier it may use; asking for a better one gives this one."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and output tokens together."""


@dataclass(frozen=True, slots=True)
class AutoSettings:
    """How the gateway chooses its policy by itself."""

    every_s: float = 300.0
    """Time between two replays."""
    window_s: float = 1800.0
    """Traffic to replay: the newest of so many seconds."""
    most_requests: int = 4000
    tail: float = 1.15
    """The p99 latency may be at most so many times that of fcfs."""
    slo: str = ""
    """Targets such as `ttft_p99=1s`: they come before mean latency; empty: none."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Settings of one gateway process."""

    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    auto: AutoSettings | None = None
    """How to choose the policy by itself, beginning with that of `scheduler`; None: it stays."""
    keys: tuple[ApiKey, ...] = ()
    """Empty: open to everybody who can connect."""
    host: str = "127.0.0.1"
    port: int = 8080
    """0 takes any free port."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of models, with `*` for any text -> the model."""
    hosts: tuple[str, ...] = ()
    """Names that it is reached by beside its own, see `Browsers`."""
    allow_origins: tuple[str, ...] = ()
    """Origins of the web pages that may use it; `*`: all."""
    default_tier: Tier = Tier.STANDARD
    tls_cert: Path | None = None
    """PEM file with the certificate, and those that it was issued by; None: plain HTTP."""
    tls_key: Path | None = None
    """PEM file with its key; None: it is in `tls_cert`."""
    max_body_bytes: int = 16 * 1024 * 1024
    max_bodies_bytes: int = 512 * 1024 * 1024
    """Of all requests under way."""
    read_timeout_s: float = 30.0
    """A client must have sent head and body of a request within this time each."""
    send_timeout_s: float = 60.0
    """A client that reads nothing for so long loses its connection, and its slot."""
    keep_alive_s: float = 10.0
    """A stream that is silent for so long gets a comment."""
    drain_s: float = 30.0
    """How long a graceful shutdown waits for what runs and waits."""
    unavailable_wait_s: float = 30.0
    """How long a request waits for a backend to come or come back before it is answered 503."""
    fallback_policy: str = "fcfs"
    """Orders while the predicted order of requests has proved to be worth nothing."""
    ask_lengths: bool = False
    """Whether models are asked first how long their answers will be."""
    attempts: int = 5
    """Runs that may fail in a row, without one new token, before a request is given up."""
