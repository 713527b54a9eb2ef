"""What Headway's own views return: the queue, the policy, health."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class CostSums(Struct, kw_only=True):
    """Requests and what they cost together."""

    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float | None
    """In the currency of the prices; null: none of them has a price."""
    unpriced: int
    """Requests whose cost is unknown; it is not in `cost`."""


class CostGroup(CostSums, kw_only=True):
    """Requests that are alike in what costs are summed up by."""

    group: dict[str, str]


class UnpricedModel(Struct, kw_only=True):
    """A model without a price."""

    model: str
    backend: str
    requests: int
    tokens: int


class BudgetView(Struct, kw_only=True):
    """One limit of a budget, in its present day or month."""

    scope: str
    """`key`, `tenant` or `batches`."""
    name: str
    unit: str
    """`tokens` or `money`."""
    period: str
    """`day` or `month`."""
    limit: float
    spent: float
    reserved: float
    """By requests under way."""
    resets_at: int
    """Seconds since 1970."""
    when_spent: str
    refused: int
    """Requests in this period, since the gateway started."""
    downgraded: int
    """The same, of those that ran on in tier batch or on another model."""


class CostsView(Struct, kw_only=True):
    """What requests cost, and what may still be spent."""

    since: float
    """Seconds since 1970."""
    by: list[str]
    total: CostSums
    groups: list[CostGroup]
    """The dearest first; days and months in order."""
    left_out: int
    """Groups beyond the limit."""
    unpriced: list[UnpricedModel]
    budgets: list[BudgetView]


class QueuedRequest(Struct, kw_only=True):
    """One live request in the queue view."""

    id: str
    state: str
    model: str
    tier: str
    tenant: str
    program: str
    backend: str | None
    age_s: float
    predicted_tokens: float
    output_tokens: int
    preemptions: int
    not_preemptible_because: str | None
    why: str


class BackendView(Struct, kw_only=True):
    """One backend in the queue view."""

    name: str
    healthy: bool
    slots: int
    running: int
    models: list[str]
    error: str | None
    starting: bool
    """It is not healthy because it starts."""


class OtherRequests(Struct, kw_only=True):
    """Number of requests of tenants whose requests the key may not see."""

    running: int
    waiting: int


class TailView(Struct, kw_only=True):
    """The promise of `boost` about p99 latency, in multiples of that of `fcfs`."""

    promised: float
    measured: float | None
    """Of the last finished requests; null before any has finished."""
    scale_s: float
    """Scale of the head starts."""


class GatewaysView(Struct, kw_only=True):
    """The gateways that share one order (setting `queue`)."""

    mode: str
    """`shared`: each slot is granted to the first of all; `settling`: none is granted until all
    gateways are back; `apart`: the others cannot be reached, and this one uses its share."""
    number: int
    """Of gateways, as last heard."""
    waiting_elsewhere: dict[str, int]
    """Requests that wait at the others, by tier, as last heard."""


class QueueView(Struct, kw_only=True):
    """GET /v1/headway/queue."""

    policy: str
    tail: TailView | None
    """Null under other policies than `boost`."""
    waiting: int
    backlog_s: float
    """Predicted seconds until all requests that wait now are done."""
    gateways: GatewaysView | None
    """Null: it shares no queue."""
    backends: list[BackendView]
    requests: list[QueuedRequest]
    """Running requests first, then waiting ones, each by arrival; at most `limit`."""
    others: OtherRequests
    """Requests of other tenants, which the key may not see."""


class ReplayedPolicy(Struct, kw_only=True):
    """Recent traffic, replayed under one policy."""

    policy: str
    mean_s: float
    """Of the latency."""
    p99_s: float
    missed: float
    """By which share the worst target is missed; 0: all are met, or none was given."""
    keeps_tail: bool
    """Whether the p99 is within the promise."""


class ReplayEvidence(Struct, kw_only=True):
    """Latency of the answered requests, and in a replay under the policies that served them."""

    served_mean_s: float
    replayed_mean_s: float
    served_p99_s: float
    replayed_p99_s: float


class PolicyAdvice(Struct, kw_only=True):
    """What the last replay of recent traffic recommends."""

    policy: str
    reason: str
    urgent: bool
    """Whether the policy in use breaks the promise; else two replays in a row must agree."""
    requests: int
    """That were replayed."""
    evidence: ReplayEvidence | None
    """How good the replay is; None: too few requests."""
    replayed: list[ReplayedPolicy]
    """Empty: too few requests, or the replay is not good enough."""


class PolicyView(Struct, kw_only=True):
    """GET /v1/headway/policy."""

    policy: str
    """The one in use."""
    automatic: bool
    """Whether the gateway chooses it by itself."""
    switches: int
    """Times that it was changed since the start."""
    advice: PolicyAdvice | None
    """None before the first replay."""


class GainView(Struct, kw_only=True):
    """What the policy in use gained lately, of what knowing every length would gain over fcfs."""

    policy: str
    requests: int
    share: float | None
    """Null: not known, and `reason` says why."""
    reason: str = ""
    fcfs_s: float | None = None
    policy_s: float | None = None
    oracle_s: float | None = None
    """Mean latencies, replayed."""
    p99_ratio: float | None = None
    """p99 latency under the policy, over that under fcfs."""


class PredictedUnder(Struct, kw_only=True):
    """The wait of a request that is sent now, if the gateway switched to another policy now."""

    policy: str
    wait_s: float | None
    ahead: int


class PredictedChat(Struct, kw_only=True):
    """POST /v1/headway/predict: a chat completion, as if it had been sent now."""

    model: str
    tier: str
    policy: str
    prompt_tokens: int
    """Estimated from the size of the prompt."""
    output_tokens: float
    """The expected number."""
    output_low: int
    output_high: int
    """The real number is between these two in 80% of cases."""
    wait_s: float | None
    """Predicted time until it would start; null: no backend that serves its model is there."""
    ahead: int
    """Requests that wait and would start before it."""
    under: PredictedUnder | None = None
    """The same if requests were ordered by the policy in the query; null: none is asked for."""


class TierChange(Struct):
    """The tier that a waiting request is moved to."""

    tier: Literal["interactive", "standard", "batch"]


class PolicyChange(Struct):
    """The policy to order by from now on."""

    policy: str
    instead_of: str | None = None
    """The policy that the operator saw; if another is in use by now, nothing changes."""


class Operated(Struct):
    """What an operator's action did."""

    done: str
    """In one sentence, as in the log."""


class Health(Struct, kw_only=True):
    """GET /healthz and /readyz."""

    status: str
