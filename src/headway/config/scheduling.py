"""Who runs and who waits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from headway.config.section import (
    Count,
    Seconds,
    Section,
    Weight,
    policy_name,
)
from headway.core.policies import POLICIES
from headway.core.settings import INFINITE, PreemptionSettings, TierSettings

PREEMPTION = PreemptionSettings()


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
    min_run_s: Seconds = PREEMPTION.min_run_s
    """A request that began to run is left alone for so long."""
    max_preemptions: Annotated[int, Field(ge=0)] = PREEMPTION.max_preemptions
    """After so many it runs to its end."""
    trail_c: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """TRAIL's limit: preempt only while output tokens < c x prediction; null: no limit."""
    quantum_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = PREEMPTION.quantum_s
    """Service on the first level of `mlfq`; each next level gives twice that."""


AUTO = "auto"
AUTO_BEGINS_WITH = "boost"
"""Until there is traffic to replay: it keeps the promise on any traffic."""


class AutoConfig(Section):
    """How `policy: auto` chooses: recent traffic is replayed under each policy."""

    every_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 300.0
    """Time between two replays."""
    window_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1800.0
    """Traffic to replay: the newest of so many seconds."""
    slo: str = ""
    """Targets such as ttft_p99=1s, which come before mean latency; empty: none."""


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
    cannot predict it."""
    fallback: str = "fcfs"
    """The policy to order by, instead of one by lengths, while predictions prove to be worth
    nothing; one that needs none."""

    @property
    def learns(self) -> bool:
        """Whether predictors are to be trained; one that the operator chose stays."""
        return self.learn and self.predictor == "shipped"

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
