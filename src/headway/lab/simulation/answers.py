"""Answers, not only tables: which policy to use, and how many engines to buy."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from headway.core.policies import POLICIES
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.comparison import Contender, Run, Scenario, compare
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.processes import over_processes
from headway.lab.simulation.routing import SHARED
from headway.lab.simulation.scaling import Scaling
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import Target, are_met, shortfall
from headway.lab.simulation.trace import BLOCK_TOKENS, Trace

MOST_REPLICAS = 1024

BOUNDS = (0.1, 0.3, 0.6)
"""Starvation bounds that are tried, as parts of the worst wait without one."""
LIMITS_C = (0.4, 1.2, 2.0)
QUANTA = (0.1, 0.5, 2.0)
"""In mean service times."""
WEIGHTS = ((4.0, 2.0, 1.0), (16.0, 4.0, 1.0))
"""Of the tiers, interactive first."""
SLOTS = (0.25, 0.5, 0.75)
"""Parts of what engines can take."""


@dataclass(frozen=True)
class Tuning:
    """What `headway advise` turns; what is None stays as it is."""

    policy: str
    max_wait_s: float | None = None
    trail_c: float | None = None
    quantum_s: float | None = None
    tier_weights: tuple[float, float, float] | None = None
    slots: int | None = None

    def contender(self, foresight: str, settings: SchedulerSettings) -> Contender:
        """What runs with it; `settings` are those that it leaves alone."""
        tiers = {tier: settings.tier(tier) for tier in Tier}
        if self.max_wait_s is not None:
            tiers = {t: replace(tiers[t], max_wait_s=self.max_wait_s) for t in tiers}
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
        return Contender(self.policy, foresight, settings=settings, slots=self.slots or 0)

    @property
    def options(self) -> dict[str, str]:
        """What sets it, by the names of the configuration; but for `slots`, which an embedded
        engine and a server are told in different ways."""
        options = {"policy": self.policy}
        if self.max_wait_s is not None:
            for tier in Tier:
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


@dataclass(frozen=True)
class Candidate:
    """A tuning that was tried, and how it did."""

    tuning: Tuning
    run: Run

    def worth(self, targets: Sequence[Target]) -> tuple[int, float, float]:
        """The least is best: how many it rejects, by how much it misses the worst target, and
        its mean latency."""
        measures = self.run.measures
        missed = max((target.missed(measures) for target in targets), default=0.0)
        return measures.rejected, missed, measures.latency_s.mean


def candidates(
    trace: Trace,
    sites: Sequence[Site],
    policies: Sequence[str],
    foresight: str,
    settings: SchedulerSettings,
    targets: Sequence[Target],
    processes: int = 0,
) -> list[Candidate]:
    """Tunings in the order of how well they meet the targets, then by their mean latency.

    Every policy is tried as it is and with parameters of its own; the best of these with other
    starvation bounds, shares of tiers and numbers of slots; last, all that helped together.

    Raises:
        SimulationError: there is no such policy or prediction, or no policy at all.
    """
    _check_policies(policies)

    def run(tunings: Sequence[Tuning]) -> list[Candidate]:
        contenders = {str(n): one.contender(foresight, settings) for n, one in enumerate(tunings)}
        scenario = Scenario([trace], sites, settings, Slo())
        done = compare(scenario, contenders, processes=processes)
        return [Candidate(one, done[str(n)][0]) for n, one in enumerate(tunings)]

    def worth(one: Candidate) -> tuple[int, float, float]:
        return one.worth(targets)

    plain = [Tuning(policy) for policy in policies]
    tried = run(plain + _with_own_parameters(policies, trace, sites))
    best = min(tried, key=worth)
    changes = _changes(best, trace, sites)
    around = run([replace(best.tuning, **change) for change in changes]) if changes else []
    helped: dict[str, Any] = {}
    for one, change in sorted(zip(around, changes, strict=True), key=lambda pair: worth(pair[0])):
        if worth(one) < worth(best):
            helped = change | helped  # of one thing, the first helped most
    tried += around
    if len(helped) > 1:
        tried += run([replace(best.tuning, **helped)])
    return sorted(tried, key=worth)


def _check_policies(policies: Sequence[str]) -> None:
    if not policies:
        raise SimulationError("there is no policy to choose; name some, as --policies fcfs,srpt")
    for policy in policies:
        if policy not in POLICIES:
            hint = "; --predict says what is foretold to all of them" if "+" in policy else ""
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
    """What to try beside the best: one thing of its tuning each."""
    longest_s = best.run.measures.wait_s.max
    found: list[dict[str, Any]] = []
    if longest_s:
        found += [{"max_wait_s": float(f"{part * longest_s:.2g}")} for part in BOUNDS]
    if len(set(trace.tiers)) > 1:
        found += [{"tier_weights": weights} for weights in WEIGHTS]
    slots = sites[0].slots or sites[0].profile.slots
    parts = sorted({max(1, round(slots * part)) for part in SLOTS} - {slots})
    return found + [{"slots": fewer} for fewer in parts]


@dataclass(frozen=True)
class Plan:
    """A number of engines, and what it achieves."""

    replicas: int
    """Where they scale: the most that may be on."""
    run: Run
    met: bool


def plans(
    trace: Trace,
    site: Site,
    policy: str,
    foresight: str,
    targets: Sequence[Target],
    settings: SchedulerSettings,
    routing: str = SHARED,
    scaling: Scaling | None = None,
) -> list[Plan]:
    """What numbers of engines achieve, up to the least that meets the targets, and beyond it.

    Doubled until they are met, then halved between; in order of the number. With `scaling` it is
    the most that may be on, whatever `scaling` says of that, and no less than stay on; without it
    all of them always are.

    Raises:
        SimulationError: they cannot be met, however many there are.
    """
    tried: dict[int, Plan] = {}

    def met(replicas: int) -> bool:
        if replicas not in tried:
            sites = [replace(site, name=f"{site.name}-{n + 1}") for n in range(replicas)]
            cluster = Cluster(scaling=_up_to(replicas, scaling))
            scenario = Scenario([trace], sites, settings, Slo(), cluster)
            contender = {policy: Contender.parse(policy, foresight, routing)}
            (run,) = compare(scenario, contender, processes=1)[policy]
            tried[replicas] = Plan(replicas, run, are_met(targets, run.measures))
        return tried[replicas].met

    _refuse_hopeless(trace, site, targets)
    asked = ", ".join(map(str, targets))
    high = least = max(1, scaling.least) if scaling is not None else 1
    while not met(high):
        run = tried[high].run
        if len({replica for replica, _, _ in run.outcome.on_spans}) < high:
            raise SimulationError(
                f"engines of {site.name} that scale do not meet {asked}: "
                f"{shortfall(targets, run.measures)} with {high}, of which some are never started; "
                f"keep more on with --least, or start them sooner with --backlog or --cold-start"
            )
        if high >= min(MOST_REPLICAS, 2 * len(trace)):
            raise SimulationError(
                f"{high} engines of {site.name} do not meet {asked} either: "
                f"{shortfall(targets, run.measures)}; ask for less, or take a faster profile"
            )
        high *= 2
    low = max(high // 2, least - 1)
    while high - low > 1:
        middle = (low + high) // 2
        if met(middle):
            high = middle
        else:
            low = middle
    met(high + max(1, high // 4))  # what the next step would buy
    return [tried[replicas] for replicas in sorted(tried)]


def _up_to(replicas: int, scaling: Scaling | None) -> Scaling | None:
    if scaling is None:
        return None
    return replace(scaling, least=min(scaling.least, replicas), most=replicas)


def plans_of_each(
    sites: Sequence[Site], plan: Callable[[Site], list[Plan]], processes: int = 0
) -> dict[str, list[Plan] | SimulationError]:
    """What `plan` finds for each site, by its name, or why it finds nothing.

    A search looks at one number after the other; several sites are searched at once.

    Args:
        sites: of different names.
        plan: `plans` with all but the site said.
        processes: how many search at once; 0: one a core.
    """
    processes = processes or os.cpu_count() or 1
    if processes > 1 and len(sites) > 1:
        found = dict(over_processes(_planned, plan, sites, processes))
    else:
        found = dict(_planned(plan, site) for site in sites)
    return {site.name: found[site.name] for site in sites}


def _planned(
    plan: Callable[[Site], list[Plan]], site: Site
) -> tuple[str, list[Plan] | SimulationError]:
    try:
        return site.name, plan(site)
    except SimulationError as error:
        return site.name, error


def _refuse_hopeless(trace: Trace, site: Site, targets: Sequence[Target]) -> None:
    """Targets that even a request alone on an idle engine misses, with all of its prompt in the
    prefix cache that ever may be there."""
    profile = site.profile
    cached = _cached_at_best(trace) if profile.prefix_cache else [0] * len(trace)
    sizes = set(zip(trace.prompt_tokens.tolist(), cached, strict=True))
    first_s = min(profile.prefill_s(prompt, min(found, prompt - 1)) for prompt, found in sizes)
    least_s = {"ttft_s": first_s, "latency_s": first_s, "tpot_s": profile.dense(1)}
    for target in targets:
        alone_s = least_s.get(target.quantity, 0.0)
        if alone_s > target.limit_s:
            raise SimulationError(
                f"{target} cannot be met: alone on an idle {site.name} it is {alone_s:.3g} s at "
                f"best; take a faster profile"
            )


def _cached_at_best(trace: Trace) -> list[int]:
    """Tokens of each prompt that a prefix cache could hold if it forgot nothing: of its session,
    or in blocks that other prompts have, too."""
    of_session = trace.shared_tokens.tolist() or [0] * len(trace)
    if not trace.prefix_hashes:
        return of_session
    prompts = Counter(block for hashes in trace.prefix_hashes for block in set(hashes))
    blocks = (
        sum(1 for _ in takewhile(lambda block: prompts[block] > 1, hashes))
        for hashes in trace.prefix_hashes
    )
    return [max(a, BLOCK_TOKENS * b) for a, b in zip(of_session, blocks, strict=True)]
