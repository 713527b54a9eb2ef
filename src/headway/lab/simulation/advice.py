"""Advice: which policy and settings serve a trace best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headway.core.policies import POLICIES
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.comparison import Contender, Run, Scenario, compare
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import Objective
from headway.lab.simulation.trace import Trace

UNSCHEDULED = "fcfs"
"""What an engine does without us."""
BOUNDS = (0.1, 0.3, 0.6)
"""Starvation bounds to try, as shares of the worst wait without one."""
LIMITS_C = (0.4, 1.2, 2.0)
QUANTA = (0.1, 0.5, 2.0)
"""In mean service times."""
WEIGHTS = ((4.0, 2.0, 1.0), (16.0, 4.0, 1.0))
"""Of the tiers, interactive first."""
SLOTS = (0.25, 0.5, 0.75)
"""Numbers of slots to try, as shares of the engines' own."""
MORE_SLOTS = (2, 4)
"""Times as many as the engines have, where no setting meets the targets with those."""


@dataclass(frozen=True)
class Tuning:
    """Settings that `headway advise` tries; None: unchanged."""

    policy: str
    max_wait_s: float | None = None
    bounded: tuple[Tier, ...] = tuple(Tier)
    """Tiers that `max_wait_s` is for: what the traffic has none of was not tried."""
    trail_c: float | None = None
    quantum_s: float | None = None
    tier_weights: tuple[float, float, float] | None = None
    slots: int | None = None

    def contender(self, prediction: str, settings: SchedulerSettings) -> Contender:
        """The contender with this tuning of `settings`."""
        tiers = {tier: settings.tier(tier) for tier in Tier}
        if self.max_wait_s is not None:
            bound = {t: replace(tiers[t], max_wait_s=self.max_wait_s) for t in self.bounded}
            tiers |= bound
        if self.tier_weights is not None:
            weights = zip(Tier, self.tier_weights, strict=True)
            tiers = {tier: replace(tiers[tier], weight=weight) for tier, weight in weights}
            settings = replace(settings, tier_mode="weighted")
        rule = settings.preemption
        if self.trail_c is not None:
            rule = replace(rule, trail_c=self.trail_c)
        if self.quantum_s is not None:
            rule = replace(rule, quantum_s=self.quantum_s)
        settings = replace(settings, tiers=tiers, preemption=rule)
        return Contender(self.policy, prediction, settings=settings, slots=self.slots or 0)

    @property
    def options(self) -> dict[str, str]:
        """Its settings, by their names in the configuration, except `slots`: an embedded engine and
        a server have different options for it."""
        options = {"policy": self.policy}
        if self.max_wait_s is not None:
            for tier in self.bounded:
                options[f"tiers.{tier.label}.max_wait_s"] = f"{self.max_wait_s:g}"
        if self.trail_c is not None:
            options["preemption.trail_c"] = f"{self.trail_c:g}"
        if self.quantum_s is not None:
            options["preemption.quantum_s"] = f"{self.quantum_s:g}"
        if self.tier_weights is not None:
            options["tier_mode"] = "weighted"
            for tier, weight in zip(Tier, self.tier_weights, strict=True):
                options[f"tiers.{tier.label}.weight"] = f"{weight:g}"
        return options

    @property
    def short(self) -> str:
        """Its settings in a few words."""
        others = [
            f"{name.rpartition('.')[2]} {value}"
            for name, value in self.options.items()
            if name != "policy"
        ]
        if self.slots is not None:
            others.append(f"slots {self.slots}")
        return ", ".join([self.policy, *dict.fromkeys(others)])


@dataclass(frozen=True)
class Candidate:
    """A tuning, and its run."""

    tuning: Tuning
    run: Run

    def worth(self, objective: Objective) -> tuple[int, float, float]:
        """A rank, smallest first: rejected requests, the miss of the worst target, mean latency."""
        measures = self.run.measures
        return measures.rejected, objective.missed(measures), measures.latency_s.mean


def candidates(
    trace: Trace,
    sites: Sequence[Site],
    policies: Sequence[str],
    prediction: str,
    settings: SchedulerSettings,
    objective: Objective,
    processes: int = 0,
    now: str = UNSCHEDULED,
    progress: Callable[[float], None] | None = None,
) -> list[Candidate]:
    """Tunings, the best first: by how well they meet the targets, then by mean latency.

    Tries what runs `now`, for comparison, and every policy with default and with other parameters;
    then the best of these with other starvation bounds, tier weights and slots; everything that
    helped together; last, if nothing meets the targets, the best with more slots than the engines
    have. `progress` is called with the number of tunings that were simulated.

    Raises:
        SimulationError: there is no such policy or prediction, or no policy at all.
    """
    _check_policies(policies)
    _check_policies([now])

    simulated = 0

    def report(ended: int) -> None:
        if progress is not None:
            progress(simulated + ended / len(trace))

    def run(tunings: Sequence[Tuning]) -> list[Candidate]:
        nonlocal simulated
        contenders = {str(n): one.contender(prediction, settings) for n, one in enumerate(tunings)}
        scenario = Scenario([trace], sites, settings, objective.request)
        done = compare(scenario, contenders, processes=processes, progress=report)
        simulated += len(tunings)
        return [Candidate(one, done[str(n)][0]) for n, one in enumerate(tunings)]

    def worth(one: Candidate) -> tuple[int, float, float]:
        return one.worth(objective)

    plain = [Tuning(policy) for policy in dict.fromkeys([now, *policies])]
    tried = run(plain + _with_own_parameters(policies, trace, sites))
    best = min(tried, key=worth)
    changes = _changes(best, trace, sites)
    around = run([replace(best.tuning, **change) for change in changes]) if changes else []
    helped: dict[str, Any] = {}
    for one, change in sorted(zip(around, changes, strict=True), key=lambda pair: worth(pair[0])):
        if worth(one) < worth(best):
            helped = change | helped  # of the same setting, the first helped most
    tried += around
    if len(helped) > 1:
        tried += run([replace(best.tuning, **helped)])
    if not any(objective.met(one.run.measures) for one in tried):
        slots = sites[0].backend.slots
        tried += run([replace(best.tuning, slots=times * slots) for times in MORE_SLOTS])
    return sorted(tried, key=worth)


def _check_policies(policies: Sequence[str]) -> None:
    if not policies:
        raise SimulationError("there is no policy to choose; name some, as --policies fcfs,srpt")
    for policy in policies:
        if policy not in POLICIES:
            hint = "; --predict sets the prediction for all of them" if "+" in policy else ""
            raise SimulationError(f"no policy {policy!r}; there are {', '.join(POLICIES)}{hint}")


def _with_own_parameters(
    policies: Sequence[str], trace: Trace, sites: Sequence[Site]
) -> list[Tuning]:
    tunings = []
    if "trail" in policies:
        tunings += [Tuning("trail", trail_c=limit_c) for limit_c in LIMITS_C]
    if "mlfq" in policies:
        cost = sites[0].backend.cost
        service_s = cost.held_slots * cost.prefill_s_per_token * float(trace.prompt_tokens.mean())
        service_s += cost.decode_s_per_token * float(trace.output_tokens.mean())
        tunings += [Tuning("mlfq", quantum_s=float(f"{q * service_s:.2g}")) for q in QUANTA]
    return tunings


def _changes(best: Candidate, trace: Trace, sites: Sequence[Site]) -> list[dict[str, Any]]:
    """Changes to try on the best tuning, one setting each."""
    longest_s = best.run.measures.wait_s.max
    found: list[dict[str, Any]] = []
    tiers = tuple(sorted(set(trace.tiers))) or (Tier.STANDARD,)
    if longest_s:
        bounds = [float(f"{part * longest_s:.2g}") for part in BOUNDS]
        found += [{"max_wait_s": bound_s, "bounded": tiers} for bound_s in bounds]
    if len(tiers) > 1:
        found += [{"tier_weights": weights} for weights in WEIGHTS]
    slots = sites[0].backend.slots
    parts = sorted({max(1, round(slots * part)) for part in SLOTS} - {slots})
    return found + [{"slots": fewer} for fewer in parts]
