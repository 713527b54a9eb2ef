"""Plans: how many engines meet a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from headway.core.fleet.scaling import Scaling
from headway.core.routing import SHARED
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.comparison import Contender, Run, Scenario, compare
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.processes import over_processes
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import Objective
from headway.lab.simulation.trace import BLOCK_TOKENS, Trace
from headway.machine import usable_cores

MOST_REPLICAS = 1024


@dataclass(frozen=True)
class Plan:
    """A number of engines, and what it achieves."""

    replicas: int
    """With scaling: the most that may be on."""
    run: Run
    met: bool


def plans(
    trace: Trace,
    site: Site,
    policy: str,
    prediction: str,
    objective: Objective,
    settings: SchedulerSettings,
    routing: str = SHARED,
    scaling: Scaling | None = None,
    trying: Callable[[int], None] | None = None,
) -> list[Plan]:
    """Plans for several numbers of engines, in order: the least that meets the targets, and others.

    The search doubles the number until the targets are met, then bisects. With `scaling` the
    number is the most that may be on, in place of the one in `scaling`, and at least those that
    stay on; without it all are always on. `trying` is called now and then with the number
    that is being simulated.

    Raises:
        SimulationError: no number of engines meets the targets.
    """
    tried: dict[int, Plan] = {}

    def met(replicas: int) -> bool:
        if replicas not in tried:
            sites = [replace(site, name=f"{site.name}-{n + 1}") for n in range(replicas)]
            cluster = Cluster(scaling=_up_to(replicas, scaling))
            scenario = Scenario([trace], sites, settings, objective.request, cluster)
            contender = {policy: Contender.parse(policy, prediction, routing)}
            progress = None if trying is None else lambda _ended: trying(replicas)
            (run,) = compare(scenario, contender, processes=1, progress=progress)[policy]
            tried[replicas] = Plan(replicas, run, objective.met(run.measures))
        return tried[replicas].met

    _refuse_hopeless(trace, site, objective)
    high = least = max(1, scaling.least) if scaling is not None else 1
    while not met(high):
        run = tried[high].run
        if len({replica for replica, _, _ in run.outcome.on_spans}) < high:
            raise SimulationError(
                f"engines of {site.name} that scale do not meet {objective}: "
                f"{objective.shortfall(run.measures)} with {high}, of which some are never "
                f"started; keep more on with --least, or start them sooner with --backlog or "
                f"--cold-start"
            )
        if high >= min(MOST_REPLICAS, 2 * len(trace)):
            raise SimulationError(
                f"{high} engines of {site.name} do not meet {objective} either: "
                f"{objective.shortfall(run.measures)}; ask for less, or take a faster profile"
            )
        high *= 2
    low = max(high // 2, least - 1)
    while high - low > 1:
        middle = (low + high) // 2
        if met(middle):
            high = middle
        else:
            low = middle
    met(high + max(1, high // 4))  # what more engines would achieve
    return [tried[replicas] for replicas in sorted(tried)]


def _up_to(replicas: int, scaling: Scaling | None) -> Scaling | None:
    if scaling is None:
        return None
    return replace(scaling, least=min(scaling.least, replicas), most=replicas)


def plans_of_each(
    sites: Sequence[Site], plan: Callable[[Site], list[Plan]], processes: int = 0
) -> dict[str, list[Plan] | SimulationError]:
    """The result of `plan` for each site, by name, or the error why it found none.

    Each search is sequential; several sites are searched in parallel.

    Args:
        sites: with different names.
        plan: `plans` with all arguments but the site.
        processes: parallel searches; 0: one per core.
    """
    processes = processes or usable_cores()
    if processes > 1 and len(sites) > 1:
        found = dict(over_processes(_planned, plan, sites, processes))
    else:
        found = dict(_planned(plan, site) for site in sites)
    return {site.name: found[site.name] for site in sites}


def taken(
    tried: Mapping[str, Sequence[Plan]],
    prices: Mapping[str, float],
    scaling: Scaling | None = None,
) -> str:
    """The sentence that says which engines to take.

    Args:
        tried: plans by profile, at least one of which meets the targets in each.
        prices: of an hour of an engine, by profile: all have one, or all are 0.
        scaling: how they start and drain with the work; None: they are always on.
    """
    enough = {name: next(one for one in found if one.met) for name, found in tried.items()}
    on = {name: one.run.measures.replicas for name, one in enough.items()}
    # Without prices the fewest engines are the best.
    best = min(enough, key=lambda name: (prices[name] or 1.0) * on[name])
    cost = f", {prices[best] * on[best]:.2f} an hour" if prices[best] else ""
    most = enough[best].replicas
    if scaling is None or scaling.least >= most:
        return f"Take {most} of {best}{cost}."
    return f"Take {scaling.least} to {most} of {best}, {on[best]:.1f} on average{cost}."


def _planned(
    plan: Callable[[Site], list[Plan]], site: Site
) -> tuple[str, list[Plan] | SimulationError]:
    try:
        return site.name, plan(site)
    except SimulationError as error:
        return site.name, error


def _refuse_hopeless(trace: Trace, site: Site, objective: Objective) -> None:
    """Refuse statistics that even a request alone on an idle engine misses, with as much of its
    prompt cached as possible."""
    profile = site.profile
    cached = _cached_at_best(trace) if profile.prefix_cache else [0] * len(trace)
    sizes = set(zip(trace.prompt_tokens.tolist(), cached, strict=True))
    first_s = min(profile.prefill_s(prompt, min(found, prompt - 1)) for prompt, found in sizes)
    least_s = {"ttft_s": first_s, "latency_s": first_s, "tpot_s": profile.dense(1)}
    for target in objective.statistics:
        alone_s = least_s.get(target.quantity, 0.0)
        if alone_s > target.limit_s:
            raise SimulationError(
                f"{target} cannot be met: alone on an idle {site.name} it is {alone_s:.3g} s at "
                f"best; take a faster profile"
            )


def _cached_at_best(trace: Trace) -> list[int]:
    """Tokens of each prompt in an unlimited prefix cache: of its session, or in blocks that other
    prompts share."""
    of_session = trace.shared_tokens.tolist() or [0] * len(trace)
    if not trace.prefix_hashes:
        return of_session
    prompts = Counter(block for hashes in trace.prefix_hashes for block in set(hashes))
    blocks = (
        sum(1 for _ in takewhile(lambda block: prompts[block] > 1, hashes))
        for hashes in trace.prefix_hashes
    )
    return [max(a, BLOCK_TOKENS * b) for a, b in zip(of_session, blocks, strict=True)]
