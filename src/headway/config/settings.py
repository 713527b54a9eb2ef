"""Every setting of `headway serve`.

The same keys are read from `headway.yaml`, from the environment and from flags, in rising order
of precedence; `sources.py` does the reading.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from headway.config.backends import BackendConfig, names_of_models
from headway.config.clients import CorsConfig, KeyConfig, LimitsConfig
from headway.config.kept import BatchConfig, LogConfig, ResponsesConfig, TracesConfig
from headway.config.models import ModelConfig
from headway.config.money import BudgetConfig, PricesConfig
from headway.config.scheduling import (
    AUTO,
    AUTO_BEGINS_WITH,
    AutoConfig,
    PredictionConfig,
    PreemptionConfig,
    TiersConfig,
)
from headway.config.section import (
    Count,
    Port,
    TierName,
    Weight,
    policy_name,
)
from headway.config.workers import WorkerConfig
from headway.core.request import Tier
from headway.core.settings import BoostSettings, PreemptionSettings, SchedulerSettings
from headway.loopback import is_loopback

BOOST = BoostSettings()


class Settings(BaseSettings):
    """Every setting of `headway serve`."""

    model_config = SettingsConfigDict(
        env_prefix="HEADWAY_",
        env_nested_delimiter="__",
        env_parse_none_str="null",
        extra="forbid",
        frozen=True,
    )

    host: str = "127.0.0.1"
    port: Port = 8080
    """0 takes any free port."""
    tls_cert: Path | None = None
    """PEM file with a certificate, and those that it was issued by: HTTPS; null: HTTP."""
    tls_key: Path | None = None
    """PEM file with the certificate's key; null: it is in the same file."""
    allow_open: bool = False
    """Serve other machines without API keys."""
    base_path: str = ""
    """Where a proxy that leaves it in addresses has the gateway, such as /headway."""
    hosts: tuple[str, ...] = ()
    """Names, without a port, that it is reached by beside this machine's own; empty: on loopback
    none, else any."""
    cors: CorsConfig = CorsConfig()
    model: str | None = None
    """GGUF file or Hugging Face repository for the embedded engine; null: the built-in model,
    or no embedded engine where there are backends."""
    slots: Count | None = None
    """Requests that the embedded engine runs at once; null: what the machine has."""
    threads: Count | None = None
    """Threads of the embedded engine; null: what the machine has."""
    context_tokens: Annotated[int, Field(ge=64)] = 4096
    """Context of each slot of the embedded engine."""
    backends: tuple[BackendConfig, ...] = ()
    models: tuple[ModelConfig, ...] | None = None
    """Models that answer whole batches; null: all-MiniLM-L6-v2, where its libraries are."""
    aliases: dict[str, str] = {}
    """Other names of models, `*` in them for any text, and the model that each means."""
    prices: PricesConfig = PricesConfig()
    workers: tuple[WorkerConfig, ...] = ()
    """Workers of workflows, whose runs the console shows and answers."""
    prompts: Path | None = None
    """Folder with registered prompts; null: none."""
    queue: str | None = None
    """URL of a Redis through which gateways share one order, and the slots of their backends; null:
    this gateway has its own order."""
    policy: str = "srpt"
    """One of the policies, or `auto`: replays of recent traffic choose."""
    auto: AutoConfig = AutoConfig()
    tail: float = BOOST.tail
    """What `boost` promises: p99 latency at most this multiple of what `fcfs` would give."""
    tier_mode: Literal["strict", "weighted"] = "strict"
    tiers: TiersConfig = TiersConfig()
    fairness: Literal["off", "vtc", "drr"] = "off"
    tenant_weights: dict[str, Weight] = {}
    tenant_budgets: dict[str, BudgetConfig] = {}
    """What tenants may spend, by their names."""
    tenant_max_running: Count | None = None
    max_queue: Annotated[int, Field(ge=0)] | None = 100_000
    """Requests of all tiers that may wait."""
    default_tier: TierName = "standard"
    """Tier of a request that names none."""
    on_missed_deadline: Literal["reject", "downgrade"] = "reject"
    """What happens to a request whose deadline cannot be met."""
    preemption: PreemptionConfig = PreemptionConfig()
    prediction: PredictionConfig = PredictionConfig()
    keys: tuple[KeyConfig, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    responses: ResponsesConfig = ResponsesConfig()
    batch: BatchConfig = BatchConfig()
    log: LogConfig = Field(default_factory=LogConfig)
    traces: TracesConfig = TracesConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: `sources.py` merges the sources, to know each value's own."""
        return (init_settings,)

    @field_validator("policy")
    @classmethod
    def _is_a_policy(cls, policy: str) -> str:
        return policy if policy == AUTO else policy_name(policy)

    @field_validator("queue")
    @classmethod
    def _is_a_redis(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"(rediss?|unix)://\S", url):
            shown = "it" if "@" in url else repr(url)  # there may be a password in it
            raise ValueError(f"{shown} is not the URL of a Redis, as redis://10.0.0.5:6379/0")
        return url

    @field_validator("tail")
    @classmethod
    def _can_be_promised(cls, tail: float) -> float:
        return BoostSettings(tail).tail

    @field_validator("aliases")
    @classmethod
    def _name_models(cls, aliases: dict[str, str]) -> dict[str, str]:
        return names_of_models(aliases)

    @field_validator("keys")
    @classmethod
    def _keys_differ(cls, keys: tuple[KeyConfig, ...]) -> tuple[KeyConfig, ...]:
        first = {key.sha256: key.name for key in reversed(keys)}
        for key in keys:
            if first[key.sha256] != key.name:
                raise ValueError(f"{first[key.sha256]!r} and {key.name!r} are one and the same key")
        return keys

    @field_validator("base_path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if not re.fullmatch(r"(/[\w.~-]+)*", path):
            raise ValueError(f"{path!r} is not a path such as /headway; write it without a last /")
        return path

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"[\w.-]+", host) and host.count(":") < 2:
                raise ValueError(f"{host!r} is not a host name; write it without scheme and port")
        return hosts

    @field_validator("backends", "models", "keys", "workers")
    @classmethod
    def _names_differ(
        cls, entries: tuple[BackendConfig | ModelConfig | KeyConfig | WorkerConfig, ...] | None
    ) -> tuple[BackendConfig | ModelConfig | KeyConfig | WorkerConfig, ...] | None:
        names = [entry.name for entry in entries or () if entry.name is not None]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]!r} is there twice")
        return entries

    @field_validator("tls_key")
    @classmethod
    def _has_a_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if key is not None and info.data.get("tls_cert") is None:
            raise ValueError("needs tls_cert beside it")
        return key

    @field_validator("log")
    @classmethod
    def _keeps_what_is_spent(cls, log: LogConfig, info: ValidationInfo) -> LogConfig:
        """After a restart, what was spent is read from the request log."""
        keys: tuple[KeyConfig, ...] = info.data.get("keys", ())
        tenants: dict[str, BudgetConfig] = info.data.get("tenant_budgets", {})
        batch: BatchConfig | None = info.data.get("batch")
        budgets = [one.budget for one in keys if one.budget is not None] + list(tenants.values())
        if log.requests_db is None and (budgets or (batch is not None and batch.budget)):
            raise ValueError("budgets need requests_db: what was spent is read from it at a start")
        monthly = any(
            one.tokens_per_month is not None or one.money_per_month is not None for one in budgets
        )
        if monthly and log.keep_days is not None and log.keep_days < 31:
            raise ValueError("budgets of a month need keep_days: 31 or more")
        return log

    @model_validator(mode="after")
    def _can_share(self) -> Settings:
        if self.queue is not None and self.policy == AUTO:
            raise ValueError(
                "policy auto chooses for one gateway alone, and those of a queue need the same: "
                "name a policy"
            )
        if self.queue is not None and self.log.events is not None:
            raise ValueError(
                "log.events holds what one gateway decides by itself, and with a queue slots come "
                "from elsewhere: leave one of them out"
            )
        return self

    @property
    def embedded(self) -> bool:
        """Whether an embedded engine runs: asked for, or nothing else is there."""
        return self.model is not None or not (self.backends or self.models)

    @property
    def exposed(self) -> bool:
        """Whether other machines could use it without a key, and nobody said they may."""
        return not (is_loopback(self.host) or self.keys or self.allow_open)

    def scheduler(self) -> SchedulerSettings:
        """The part that the scheduler takes."""
        tiers = {
            Tier.INTERACTIVE: self.tiers.interactive.scheduler(),
            Tier.STANDARD: self.tiers.standard.scheduler(),
            Tier.BATCH: self.tiers.batch.scheduler(),
        }
        return SchedulerSettings(
            policy=AUTO_BEGINS_WITH if self.policy == AUTO else self.policy,
            tier_mode=self.tier_mode,
            tiers=tiers,
            fairness=self.fairness,
            tenant_weights=dict(self.tenant_weights),
            tenant_max_running=self.tenant_max_running,
            max_queue=self.max_queue,
            on_missed_deadline=self.on_missed_deadline,
            boost=BoostSettings(self.tail),
            preemption=PreemptionSettings(
                enabled=self.preemption.enabled,
                min_run_s=self.preemption.min_run_s,
                max_preemptions=self.preemption.max_preemptions,
                trail_c=self.preemption.trail_c,
                quantum_s=self.preemption.quantum_s,
            ),
        )
