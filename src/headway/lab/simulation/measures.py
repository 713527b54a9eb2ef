"""The numbers of a simulated run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace


@dataclass(frozen=True, slots=True)
class Distribution:
    """Statistics of one quantity over requests; all 0 if there are none."""

    mean: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> Distribution:
        """Values that are NaN do not count."""
        values = values[np.isfinite(values)]
        if not len(values):
            return cls()
        p50, p90, p95, p99 = np.quantile(values, (0.5, 0.9, 0.95, 0.99)).tolist()
        return cls(float(values.mean()), p50, p90, p95, p99, float(values.max()))


@dataclass(frozen=True, slots=True)
class Slo:
    """Limits that a request must meet to count as goodput; None: no limit."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Measures:
    """The numbers of one run. Latency is from sending a request to its last token."""

    requests: int
    rejected: int
    duration_s: float
    """From the first request to the last answer."""
    latency_s: Distribution
    ttft_s: Distribution
    tpot_s: Distribution
    wait_s: Distribution
    slowdown: Distribution
    """Latency over the time of the same request alone on the idle engine."""
    s_per_token: Distribution
    throughput_tokens_per_s: float
    throughput_requests_per_s: float
    goodput: float
    """Share of requests that met the SLO."""
    load: float
    """Mean number of requests in the system, waiting or running."""
    utilisation: float
    """Share of the time on in which engines worked."""
    kv_use: float
    """Mean share of the KV memory in use; 0 where the profile states none."""
    runs: int
    """Runs of several requests, such as agents' sessions; 0: each request is for itself."""
    run_latency_s: Distribution
    """From the first request of a run to the end of its last, over all runs, if there are any of
    several requests. A run that lost a request does not count."""
    run_deadlines_met: float
    """Share of the runs with a deadline that met it; 1 if there are none."""
    fairness: float
    """Jain's index of the tenants' mean slowdown: 1 if all are equal, 1/n if one has it all."""
    preemptions: int
    recomputed: int
    inversions: float
    """Share of starts for which a request that waited at another gateway goes before."""
    failovers: int
    """Times that a request lost its backend and continued elsewhere."""
    replica_s: float
    """Time that backends were on or starting, over all of them."""
    replicas: float
    """The mean number of them."""
    cold_starts: int
    cold_start_wait_s: float
    """Seconds that requests waited for their first slot while at least one replica was started and
    not ready yet, summed over requests."""
    cold_start_wait_share: float
    """The same as a share of all waiting for a first slot; 0 if no request waited."""
    cost: float
    """The price of that time, from the profiles' price per hour."""


def measures_of(
    trace: Trace, outcome: Outcome, sites: Sequence[Site], slo: Slo | None = None
) -> Measures:
    """The numbers of one run of `trace` on `sites`."""
    slo = slo or Slo()
    good = outcome.finished
    latency_s, ttft_s = outcome.latency_s, outcome.ttft_s
    tokens = trace.output_tokens
    more = np.where(tokens > 1, tokens - 1, np.nan)
    tpot_s = (outcome.ended_s - outcome.first_token_s) / more
    slowdown = latency_s / alone_s(trace, sites[0].profile)
    met = good.copy()
    for limit_s, values in ((slo.ttft_s, ttft_s), (slo.tpot_s, tpot_s), (slo.latency_s, latency_s)):
        if limit_s is not None:
            met &= ~(values > limit_s)
    began_s = float(np.nanmin(outcome.released_s)) if len(trace) else 0.0
    end_s = float(np.nanmax(outcome.ended_s, initial=began_s))
    duration_s = end_s - began_s
    lasted_s = max(duration_s, 1e-9)
    on_s = [0.0] * len(sites)
    for backend, from_s, to_s in outcome.on_spans:
        on_s[backend] += max(0.0, min(to_s, end_s) - max(from_s, began_s))
    waited_s, cold_s = (
        float(np.nansum(values)) for values in (outcome.wait_s, outcome.cold_start_wait_s)
    )
    run_latency_s, deadlines_met = _of_runs(trace, outcome)
    profiles = [site.profile for site in sites]
    memory = sum(time * of.kv_tokens for time, of in zip(on_s, profiles, strict=True))
    return Measures(
        requests=len(trace),
        rejected=int((~good).sum()),
        duration_s=duration_s,
        latency_s=Distribution.of(latency_s),
        ttft_s=Distribution.of(ttft_s),
        tpot_s=Distribution.of(tpot_s),
        wait_s=Distribution.of(outcome.wait_s),
        slowdown=Distribution.of(slowdown),
        s_per_token=Distribution.of(latency_s / tokens),
        throughput_tokens_per_s=float(tokens[good].sum()) / lasted_s,
        throughput_requests_per_s=float(good.sum()) / lasted_s,
        goodput=float(met.mean()),
        load=float(np.nansum(latency_s)) / lasted_s,
        utilisation=outcome.busy_s / max(sum(on_s), 1e-9),
        kv_use=outcome.kv_token_s / memory if memory else 0.0,
        runs=len(run_latency_s),
        run_latency_s=Distribution.of(run_latency_s),
        run_deadlines_met=deadlines_met,
        fairness=_fairness(trace, slowdown),
        preemptions=int(outcome.preemptions.sum()),
        recomputed=outcome.recomputed,
        inversions=outcome.inversions,
        failovers=int(outcome.failovers.sum()),
        replica_s=sum(on_s),
        replicas=sum(on_s) / lasted_s,
        cold_starts=outcome.cold_starts,
        cold_start_wait_s=cold_s,
        cold_start_wait_share=cold_s / waited_s if waited_s else 0.0,
        cost=sum(t * of.price_per_hour for t, of in zip(on_s, profiles, strict=True)) / 3600.0,
    )


def alone_s(trace: Trace, profile: Profile) -> np.ndarray:
    """Time of each request alone on the idle engine, without cached prefixes."""
    known: dict[tuple[int, int], float] = {}
    times = np.empty(len(trace))
    sizes = zip(trace.prompt_tokens.tolist(), trace.output_tokens.tolist(), strict=True)
    for number, size in enumerate(sizes):
        if size not in known:
            known[size] = profile.alone_s(*size)
        times[number] = known[size]
    return times


def _of_runs(trace: Trace, outcome: Outcome) -> tuple[np.ndarray, float]:
    """The latency of each run, and the share of those with a deadline that met it."""
    runs = trace.runs
    first = np.unique(runs)
    if len(first) == len(trace):
        return np.empty(0), 1.0
    latency_s = outcome.run_latency_s(runs)
    deadline_s = trace.run_deadline_s[first] if len(trace.run_deadline_s) else np.empty(0)
    asked = np.isfinite(deadline_s)
    met = latency_s[asked] <= deadline_s[asked] if asked.any() else np.ones(1)
    return latency_s, float(met.mean())


def _fairness(trace: Trace, slowdown: np.ndarray) -> float:
    by_tenant: dict[str, list[float]] = {}
    for tenant, value in zip(trace.tenants or (), slowdown.tolist(), strict=False):
        if np.isfinite(value):
            by_tenant.setdefault(tenant, []).append(value)
    means = np.array([np.mean(values) for values in by_tenant.values()])
    if len(means) < 2:
        return 1.0
    return float(means.sum() ** 2 / (len(means) * (means**2).sum()))
