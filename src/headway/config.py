"""What an operator can set: every key, its default and its limits.

The same keys are read from `headway.yaml`, from the environment and from flags, in rising order
of precedence; `config_sources` does the reading.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from headway.core.policies import POLICIES
from headway.core.request import Tier
from headway.core.settings import INFINITE, PreemptionSettings, SchedulerSettings, TierSettings
from headway.loopback import is_loopback

TierName = Literal["interactive", "standard", "batch"]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PREEMPTION = PreemptionSettings()


class Section(BaseModel):
    """A mapping in the configuration; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BackendConfig(Section):
    """One OpenAI-compatible server behind Headway."""

    url: str
    """The base URL of its API; one without a path means `/v1`."""
    name: str | None = None
    """Its name in logs and metrics; else taken from the URL."""
    api_key: SecretStr | None = None
    api_key_env: str | None = None
    """Environment variable that holds the API key."""
    max_concurrency: Count | None = None
    """Requests it may run at once; else what it tells, else an adaptive limit."""
    first_byte_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """An answer must have begun after this time; null: learned, at least 60 s."""
    idle_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Longest time between two parts of an answer; null: learned, at least 60 s."""
    models: dict[str, str] = {}
    """Models to offer from it, by the names that clients use; empty: all that it lists."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_http = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # of the port, or of an IPv6 address
            is_http = False
        if not is_http:
            shown = "it" if "@" in url else repr(url)  # there may be a password in it
            raise ValueError(f"{shown} is not an http:// or https:// URL")
        return url.rstrip("/")

    @field_validator("models", mode="before")
    @classmethod
    def _by_name(cls, models: object) -> object:
        """A list names models as the backend does."""
        if isinstance(models, list | tuple) and all(isinstance(name, str) for name in models):
            if patterns := [name for name in models if "*" in name]:
                raise ValueError(
                    f"{patterns[0]!r} needs the name of a model that it stands for: write "
                    f"models: {{{patterns[0]!r}: NAME}}"
                )
            return {name: name for name in models}
        return models

    @field_validator("models")
    @classmethod
    def _name_models(cls, models: dict[str, str]) -> dict[str, str]:
        return names_of_models(models)

    @model_validator(mode="after")
    def _one_key(self) -> BackendConfig:
        if self.api_key is not None and self.api_key_env is not None:
            raise ValueError("set api_key or api_key_env, not both")
        if "@" in urlsplit(self.url).netloc and (self.api_key or self.api_key_env):
            raise ValueError("set an API key, or a user and password in url, not both")
        if self.api_key_env is not None and self.api_key_env not in os.environ:
            if not re.fullmatch("[A-Z]+(_[A-Z0-9]+)*", self.api_key_env):
                # It may be the key itself: not shown.
                raise ValueError("api_key_env is not the name of a variable, as CLOUD_API_KEY")
            raise ValueError(f"api_key_env names {self.api_key_env}, which is not set")
        return self

    def secret(self) -> str | None:
        """The API key to send, from the configuration or the environment."""
        if self.api_key_env is not None:
            return os.environ[self.api_key_env]
        return self.api_key.get_secret_value() if self.api_key is not None else None


class ModelConfig(Section):
    """One model that answers whole batches: an encoder, a classifier, a function."""

    name: str
    """What clients call it."""
    path: str
    """all-MiniLM-L6-v2, a folder, a file, FILE.py:FUNCTION, or a server's URL."""
    instances: Count = 1
    """Worker processes, each with the whole model; or batches that a server gets at once."""
    threads: Count | None = None
    """Of each instance; null: the machine's cores, divided by the instances."""
    max_batch_size: Count = 32
    max_batch_tokens: Count | None = None
    """Padded size times padded length of a batch; null: no limit."""
    batch_sizes: tuple[Count, ...] = ()
    """Sizes that the model takes, ascending; empty: all."""
    batch_lengths: tuple[Count, ...] = ()
    """Padded lengths that the model takes, ascending; empty: all."""
    batching: Literal["adaptive", "optimal", "constant"] = "adaptive"
    """When a batch is launched: while waiting does not pay, by a solved table, after a delay."""
    max_delay_s: Seconds = 0.005
    """The longest wait for company where `batching` is constant."""
    slo_s: Annotated[float, Field(gt=0)] | None = None
    """Latency that `adaptive` keeps batches small for."""
    length_aware: bool | None = None
    """Batches of about equal length; null: where the model reads texts."""
    length_unit: Count = 1
    """Characters, list entries or tensor values of an item that count as one of its length."""
    preload: bool = True
    """Load it at the start; else when it is first asked for."""
    unload_after_s: Annotated[float, Field(gt=0)] | None = None
    """Unload it when nobody asked for so long; null: never."""

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name in ("", "default"):
            raise ValueError(f"{name!r} is no name of a model; give it one of its own")
        return name

    @field_validator("batch_sizes", "batch_lengths")
    @classmethod
    def _ascend(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("they must ascend")
        return values


class TierConfig(Section):
    """Limits and promises of one tier."""

    max_wait_s: Seconds | None = None
    """After this wait a request is next, whatever the policy says; null: no bound."""
    max_slowdown: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """The same, in multiples of the request's own service time; null: no bound."""
    max_queue: Annotated[int, Field(ge=0)] | None = None
    """Requests that may wait; more are answered 429."""
    max_running: Count | None = None
    """Requests of this tier that may run at once."""
    weight: Weight = 1.0
    """Share of service where `tier_mode` is weighted."""

    def scheduler(self) -> TierSettings:
        """These limits as the scheduler takes them."""
        return TierSettings(
            max_wait_s=INFINITE if self.max_wait_s is None else self.max_wait_s,
            max_slowdown=INFINITE if self.max_slowdown is None else self.max_slowdown,
            max_queue=self.max_queue,
            max_running=self.max_running,
            weight=self.weight,
        )


class TiersConfig(Section):
    """One section a tier."""

    interactive: TierConfig = TierConfig(max_wait_s=120, max_queue=10_000, weight=16)
    standard: TierConfig = TierConfig(max_wait_s=600, max_queue=10_000, weight=4)
    batch: TierConfig = TierConfig(max_wait_s=3600, max_queue=100_000, weight=1)

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, values: object) -> object:
        """A tier of which one key is set keeps its defaults in the others."""
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        for name, field in cls.model_fields.items():
            if isinstance(given := filled.get(name), dict):
                filled[name] = {**field.default.model_dump(), **given}
        return filled


class PreemptionConfig(Section):
    """When a running request is stopped for another; see docs/preemption.md."""

    enabled: bool = True
    gain_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = PREEMPTION.gain_factor
    """The expected gain must exceed this many times the cost that the backend states."""
    min_run_s: Seconds = PREEMPTION.min_run_s
    """A request that began to run is left alone for so long."""
    max_preemptions: Annotated[int, Field(ge=0)] = PREEMPTION.max_preemptions
    """After so many it runs to its end."""
    trail_c: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """TRAIL's limit: preempt only while output tokens < c x prediction; null: no limit."""
    quantum_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = PREEMPTION.quantum_s
    """Service on the first level of `mlfq`; each next level gives twice that."""


class PredictionConfig(Section):
    """Who says how long an answer will be."""

    predictor: Path | Literal["shipped", "off"] = "shipped"
    """A file made by `headway predictor train`; or what comes with Headway; or history alone."""
    learn: bool = True
    """Replace the shipped predictor by better ones, trained from the request log in the
    background; needs headway[predict]."""
    ask_model: bool = False
    """Ask the model itself how long its answer will be, in a few tokens, where a request must wait
    under a policy by lengths; where it names no number, the predictor's word stands. Small models
    cannot tell."""
    fallback: str = "fcfs"
    """The policy to order by, instead of one by lengths, while predictions prove to be worth
    nothing; one that needs none."""

    @property
    def learns(self) -> bool:
        """Whether predictors are to be trained; one that the operator chose stays."""
        return self.learn and self.predictor == "shipped"

    @field_validator("predictor", mode="before")
    @classmethod
    def _off(cls, choice: object) -> object:
        return "off" if choice is False else choice  # what YAML makes of a plain `off`

    @field_validator("ask_model")
    @classmethod
    def _has_a_predictor(cls, ask_model: bool, info: ValidationInfo) -> bool:
        if ask_model and info.data.get("predictor") == "off":
            raise ValueError(
                "needs a predictor beside it, for replies that name no number; remove "
                "predictor: off"
            )
        return ask_model

    @field_validator("fallback")
    @classmethod
    def _needs_no_predictor(cls, policy: str) -> str:
        if POLICIES[policy_name(policy)].needs_predictor:
            others = [name for name, one in POLICIES.items() if not one.needs_predictor]
            raise ValueError(
                f"{policy!r} needs predictions itself; choose one of {', '.join(others)}"
            )
        return policy


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
    """It sees the requests of all tenants and the metrics, and may load and unload models."""
    tier_ceiling: TierName = "interactive"
    """The highest tier that it may ask for."""
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None

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


class LogConfig(Section):
    """What is written down."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    requests_db: Path | None = Field(default_factory=lambda: default_requests_db())
    """SQLite file that gets one row for every request; null: none."""
    prompts: bool = False
    """Whether that row holds the prompt's text."""
    events: Path | None = None
    """File that gets every event and decision of the scheduler, for `headway trace replay`; null:
    none. It is begun anew at every start."""


class ResponsesConfig(Section):
    """Which responses of `/v1/responses` are kept, beside the request log."""

    max_age_days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    """Older ones are deleted; 0: none are kept."""
    max_mb: Count = 1024
    """Prompts and answers of all of them together; the oldest ones above it are deleted."""


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
    policy: str = "srpt"
    tier_mode: Literal["strict", "weighted"] = "strict"
    tiers: TiersConfig = TiersConfig()
    fairness: Literal["off", "vtc", "drr"] = "off"
    tenant_weights: dict[str, Weight] = {}
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
    log: LogConfig = Field(default_factory=LogConfig)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: `config_sources` merges the sources, to know each value's own."""
        return (init_settings,)

    @field_validator("policy")
    @classmethod
    def _is_a_policy(cls, policy: str) -> str:
        return policy_name(policy)

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

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"[\w.-]+", host) and host.count(":") < 2:
                raise ValueError(f"{host!r} is not a host name; write it without scheme and port")
        return hosts

    @field_validator("backends", "models", "keys")
    @classmethod
    def _names_differ(
        cls, entries: tuple[BackendConfig | ModelConfig | KeyConfig, ...] | None
    ) -> tuple[BackendConfig | ModelConfig | KeyConfig, ...] | None:
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
            policy=self.policy,
            tier_mode=self.tier_mode,
            tiers=tiers,
            fairness=self.fairness,
            tenant_weights=dict(self.tenant_weights),
            tenant_max_running=self.tenant_max_running,
            max_queue=self.max_queue,
            on_missed_deadline=self.on_missed_deadline,
            preemption=PreemptionSettings(
                enabled=self.preemption.enabled,
                gain_factor=self.preemption.gain_factor,
                min_run_s=self.preemption.min_run_s,
                max_preemptions=self.preemption.max_preemptions,
                trail_c=self.preemption.trail_c,
                quantum_s=self.preemption.quantum_s,
            ),
        )


class UnknownName(ValueError):
    """A value that must be one of some names and is not."""

    def __init__(self, value: str, known: tuple[str, ...]) -> None:
        super().__init__(f"{value!r} is not one of {', '.join(known)}")
        self.value = value
        self.known = known


def policy_name(name: str) -> str:
    """`name`, if a policy has it. Raises UnknownName."""
    if name not in POLICIES:
        raise UnknownName(name, tuple(POLICIES))
    return name


def names_of_models(aliases: dict[str, str]) -> dict[str, str]:
    """`aliases`, if each means one model. Raises ValueError."""
    for alias, model in aliases.items():
        if not alias or not model or "*" in model:
            raise ValueError(f"{alias!r}: {model!r} does not name one model; only aliases take *")
    return aliases


def default_requests_db() -> Path:
    """Where the request log lies on this system, for this user."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local"))
    elif sys.platform == "darwin":
        base = Path("~/Library/Application Support")
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state")
    return base.expanduser() / "headway" / "requests.db"
