"""What the page Now shows, as JSON."""

from __future__ import annotations

from msgspec import Struct

from headway.gateway.api.views import GainView, OtherRequests


class RunningNow(Struct, kw_only=True):
    """A slot, by the request that runs in it."""

    id: str
    model: str
    tier: str
    tenant: str
    program: str
    backend: str
    age_s: float
    """Since it arrived."""
    running_s: float
    """Since it started, or went on."""
    prompt_tokens: int
    output_tokens: int
    rest_tokens: float
    """Expected further output tokens."""
    rest_low: int
    rest_high: int
    """Between these with 80%, given what it has produced."""
    rest_s: float
    """Expected time to its end."""
    preemptions: int
    not_preemptible_because: str | None


class WaitingNow(Struct, kw_only=True):
    """A waiting request."""

    id: str
    place: int
    """1: it is first."""
    model: str
    tier: str
    tenant: str
    program: str
    wait_s: float
    """Since it arrived."""
    prompt_tokens: int
    output_tokens: int
    """That it has from earlier runs."""
    predicted_tokens: float
    predicted_low: int
    predicted_high: int
    preemptions: int
    why: str


class TierNow(Struct, kw_only=True):
    """One tier, and its starvation bound beside the worst wait."""

    tier: str
    running: int
    waiting: int
    backlog_s: float
    longest_wait_s: float | None
    """Of those that wait now; null: none does."""
    worst_wait_s: float | None
    """Of those that started in the last hour."""
    max_wait_s: float | None
    """The bound; null: there is none."""
    max_slowdown: float | None


class TenantNow(Struct, kw_only=True):
    """What one tenant has of the slots and of the queue."""

    tenant: str
    running: int
    waiting: int
    longest_wait_s: float | None


class BackendNow(Struct, kw_only=True):
    """One backend."""

    name: str
    state: str
    """`up`, `starting`, `down`, `draining` or `leaving`."""
    error: str | None
    slots: int
    running: int
    models: list[str]


class PreemptionNow(Struct, kw_only=True):
    """A request gave its slot to another."""

    ago_s: float
    id: str
    tier: str
    backend: str
    output_tokens: int
    winner_id: str | None
    """Null: a request of another tenant."""
    winner_tier: str


class LiveView(Struct, kw_only=True):
    """One look at everything that runs and waits, as far as its viewer may see it."""

    tick: int
    unix_s: float
    policy: str
    chosen_policy: str
    """The one to use while predictions are trusted."""
    chosen_by: str
    """Who switched to it; empty: nobody did, or the viewer may not know."""
    chosen_ago_s: float
    automatic: bool
    """Whether the gateway chooses it by itself."""
    fairness: str
    preemption: bool
    draining: bool
    running: int
    waiting: int
    slots: int
    backlog_s: float
    others: OtherRequests
    """Requests of other tenants, which the viewer may not see."""
    tiers: list[TierNow]
    tenants: list[TenantNow]
    """Those with most requests."""
    tenants_in_all: int
    backends: list[BackendNow]
    runs: list[RunningNow]
    first: int
    """Rows before the ones below."""
    found: int
    """Waiting requests that the filter lets through."""
    rows: list[WaitingNow]
    preemptions: list[PreemptionNow]
    """The last ones, the latest first."""
    gain: GainView | None
    """What the policy gained in the last hour; null: nothing is logged or known yet, or the viewer
    may not see all requests."""
