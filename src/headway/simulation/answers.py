"""Answers, not only tables: which policy to use, and how many engines to buy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headway.core.request import Tier
from headway.core.settings import SchedulerSettings, TierSettings
from headway.simulation.comparison import Contender, Run, Scenario, compare
from headway.simulation.errors import SimulationError
from headway.simulation.measures import Slo
from headway.simulation.profile import Profile
from headway.simulation.site import Site
from headway.simulation.slo import Target
from headway.simulation.trace import Trace

MOST_REPLICAS = 1024


@dataclass(frozen=True)
class Candidate:
    """Settings that were tried, and how they did."""

    policy: str
    settings: SchedulerSettings
    slots: int
    """Of each engine; 0: all it has."""
    run: Run

    def missed(self, targets: Sequence[Target]) -> float:
        """How far the worst target is missed: 0 where all are met, 1 where it takes twice as
        long as it may."""
        return max((target.missed(self.run.measures) for target in targets), default=0.0)

    @property
    def options(self) -> dict[str, str]:
        """What sets it, by the names of the configuration."""
        options = {"policy": self.policy}
        bound_s = self.settings.tier(Tier.STANDARD).max_wait_s
        if bound_s < float("inf"):
            options["tiers.standard.max_wait_s"] = f"{bound_s:g}"
        limit_c = self.settings.preemption.trail_c
        if limit_c is not None:
            options["preemption.trail_c"] = f"{limit_c:g}"
        if self.slots:
            options["slots"] = str(self.slots)
        return options


def candidates(
    trace: Trace,
    sites: Sequence[Site],
    policies: Sequence[str],
    foresight: str,
    settings: SchedulerSettings,
    processes: int = 0,
) -> Iterator[Candidate]:
    """Every policy as it is; then the best with other starvation bounds, limits and slots."""
    tried = [*_run(trace, sites, policies, foresight, [(settings, 0)], processes)]
    yield from tried
    best = min(tried, key=lambda one: one.run.measures.latency_s.mean)
    longest_s = best.run.measures.wait_s.max
    variants: list[tuple[SchedulerSettings, int]] = []
    for share in (0.1, 0.3, 0.6):
        if longest_s:
            bound = TierSettings(max_wait_s=float(f"{share * longest_s:.2g}"))
            variants.append((replace(settings, tiers=dict.fromkeys(Tier, bound)), 0))
    if best.policy == "trail":
        for limit_c in (0.4, 1.2):
            rule = replace(settings.preemption, trail_c=limit_c)
            variants.append((replace(settings, preemption=rule), 0))
    slots = sites[0].slots or sites[0].profile.slots
    variants += [(settings, slots * share // 4) for share in (2, 3) if slots * share // 4]
    yield from _run(trace, sites, [best.policy], foresight, variants, processes)


def _run(
    trace: Trace,
    sites: Sequence[Site],
    policies: Sequence[str],
    foresight: str,
    variants: Sequence[tuple[SchedulerSettings, int]],
    processes: int,
) -> Iterator[Candidate]:
    for settings, slots in variants:
        limited = [replace(site, slots=slots) if slots else site for site in sites]
        scenario = Scenario([trace], limited, settings, Slo())
        contenders = {policy: Contender.parse(policy, foresight) for policy in policies}
        for policy, runs in compare(scenario, contenders, processes=processes).items():
            yield Candidate(policy, settings, slots, runs[0])


@dataclass(frozen=True)
class Plan:
    """A number of engines, and what it achieves."""

    replicas: int
    run: Run
    met: bool


def plans(
    trace: Trace,
    profile: Profile,
    policy: str,
    foresight: str,
    targets: Sequence[Target],
    settings: SchedulerSettings,
) -> list[Plan]:
    """What numbers of engines achieve, up to the least that meets the targets, and beyond it.

    Doubled until they are met, then halved between; in order of the number.

    Raises:
        SimulationError: they cannot be met, however many there are.
    """
    tried: dict[int, Plan] = {}

    def met(replicas: int) -> bool:
        if replicas not in tried:
            sites = [Site(f"{profile.name}-{n + 1}", profile) for n in range(replicas)]
            scenario = Scenario([trace], sites, settings, Slo())
            contender = {policy: Contender.parse(policy, foresight)}
            (run,) = compare(scenario, contender, processes=1)[policy]
            ok = not any(target.missed(run.measures) for target in targets)
            tried[replicas] = Plan(replicas, run, ok)
        return tried[replicas].met

    _refuse_hopeless(trace, profile, targets)
    high = 1
    while not met(high):
        if high >= min(MOST_REPLICAS, 2 * len(trace)):
            raise SimulationError(
                f"{high} engines of {profile.name} do not meet "
                f"{', '.join(map(str, targets))} either; the last missed it by "
                f"{max(t.missed(tried[high].run.measures) for t in targets):.0%}"
            )
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if met(middle):
            high = middle
        else:
            low = middle
    met(high + max(1, high // 4))  # what the next step would buy
    return [tried[replicas] for replicas in sorted(tried)]


def _refuse_hopeless(trace: Trace, profile: Profile, targets: Sequence[Target]) -> None:
    """Targets that even a request alone on an idle engine misses."""
    tokens = int(trace.prompt_tokens.min())
    least_s = {"ttft_s": profile.prefill_s(tokens), "latency_s": profile.prefill_s(tokens)}
    least_s["tpot_s"] = profile.dense(1)
    for target in targets:
        alone_s = least_s.get(target.quantity, 0.0)
        if alone_s > target.limit_s:
            raise SimulationError(
                f"{target} cannot be met: alone on an idle {profile.name} it is {alone_s:.3g} s; "
                f"take a faster profile"
            )
