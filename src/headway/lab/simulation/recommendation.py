"""What to serve with, of all that was tried: never what is worse than what runs now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headway.core.settings import SchedulerSettings
from headway.lab.report.figures import figures
from headway.lab.simulation.advice import UNSCHEDULED, Candidate, Tuning, candidates
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.plans import Plan, plans
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import Objective
from headway.lab.simulation.trace import Trace


@dataclass(frozen=True)
class Recommendation:
    """A candidate, and what it takes to meet the SLO if no setting does."""

    candidate: Candidate
    now: Candidate
    """The policy that runs now, with which the others are compared."""
    objective: Objective
    nearest: Candidate
    """Of those with the slots that the engines have, the one that comes nearest to the SLO."""
    wider: bool = False
    """Whether it meets the SLO only since it runs more requests at once than was asked."""
    plan: Plan | None = None
    """The least number of engines that meets it, where no setting does."""
    why_no_plan: str = ""

    @classmethod
    def of(
        cls,
        tried: Sequence[Candidate],
        objective: Objective,
        slots: int,
        plans: Callable[[Tuning], list[Plan]],
        now: str = UNSCHEDULED,
    ) -> Recommendation:
        """The best of `tried`; where none meets the SLO, also the engines that would.

        Args:
            tried: candidates, the best first, with the plain policy `now` among them.
            objective: the SLO.
            slots: of an engine as it is.
            plans: finds the number of engines that meet the SLO with a tuning.
            now: the policy that runs now.
        """
        (runs,) = [one for one in tried if one.tuning == Tuning(now)]
        as_it_is = [one for one in tried if (one.tuning.slots or slots) <= slots]
        nearest = as_it_is[0]
        for found in (as_it_is, tried):
            met = [one for one in found if objective.met(one.run.measures)]
            if met:
                return cls(met[0], runs, objective, nearest, wider=found is tried)
        best = next(one for one in as_it_is if no_worse(one, runs, objective))
        try:
            plan = next(one for one in plans(best.tuning) if one.met)
        except SimulationError as error:
            return cls(best, runs, objective, nearest, why_no_plan=str(error))
        return cls(best, runs, objective, nearest, plan=plan)

    @property
    def met(self) -> bool:
        """Whether the recommended settings meet the SLO."""
        return self.objective.met(self.candidate.run.measures)

    def first(self) -> list[str]:
        """What is said before the table: that the SLO is not met, and the cheapest way to it."""
        lines = self.shortfall()
        if not self.met:
            lines[-1] += " `headway plan` compares engines." if self.plan is not None else ""
            lines[-1] += " Until then this is the best:"
        return lines

    def shortfall(self) -> list[str]:
        """That the SLO is not met with the engines as they are, and the cheapest way to it; empty:
        it is met."""
        if self.met and not self.wider:
            return []
        measures = self.nearest.run.measures
        missed = [of for of in self.objective.targets if not of.met(measures)]
        if self.objective.statistics and measures.rejected:
            why = f"{self.objective.shortfall(measures)} with the best"
        else:
            why = f"the nearest reaches {', '.join(of.reached(measures) for of in missed)}"
        lines = [f"No setting of these engines meets {self.objective}: {why}."]
        if self.wider:
            slots = self.candidate.tuning.slots
            lines.append(
                f"It takes {slots} requests at once on each engine, if its memory holds them."
            )
        elif self.plan is not None:
            lines.append(
                f"It takes {self.plan.replicas} engines like this one, with "
                f"{self.candidate.tuning.policy}."
            )
        else:
            lines.append(f"And {self.why_no_plan}.")
        return lines

    def last(self, *, embedded: bool, slots: int = 0) -> list[str]:
        """The command to copy, and what it gains over what runs now.

        Args:
            embedded: whether the engine is Headway's own.
            slots: that were asked for; 0: the engine's.
        """
        return [
            f"Use: {command(self.candidate.tuning, embedded=embedded, slots=slots)}",
            *self.gains(),
        ]

    def gains(self) -> list[str]:
        """What the recommended settings gain over what runs now."""
        now, lines = self.now.tuning.policy, list[str]()
        if self.candidate is self.now:
            return [f"Nothing that was tried is better than {now} here."]
        would, was = self.candidate.run.measures, self.now.run.measures
        if was.rejected or would.rejected:
            lines.append(
                f"It rejects {would.rejected} of {would.requests} requests, {now} {was.rejected}."
            )
        if max(was.rejected, would.rejected) < would.requests:
            lines.append(
                f"It has {would.latency_s.mean / was.latency_s.mean:.2f} times the mean latency of "
                f"{now} ({figures(would.latency_s.mean)} s, not {figures(was.latency_s.mean)} s), "
                f"p99 {figures(would.latency_s.p99)} s, not {figures(was.latency_s.p99)} s; worst "
                f"wait {figures(would.wait_s.max)} s, not {figures(was.wait_s.max)} s."
            )
        return lines


def recommend(
    trace: Trace,
    sites: Sequence[Site],
    policies: Sequence[str],
    prediction: str,
    settings: SchedulerSettings,
    objective: Objective,
    now: str = UNSCHEDULED,
    processes: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[Candidate], Recommendation]:
    """All that was tried, the best first, and what to serve with; see `candidates`.

    Raises:
        SimulationError: there is no such policy or prediction, or no policy at all.
    """

    def more_engines(tuning: Tuning) -> list[Plan]:
        if len({site.profile for site in sites}) > 1:
            raise SimulationError("`headway plan` compares engines of several kinds")
        engine = replace(sites[0], slots=tuning.slots or sites[0].slots)
        served = tuning.contender(prediction, settings).settings or settings
        return plans(trace, engine, tuning.policy, prediction, objective, served)

    tried = candidates(
        trace, sites, policies, prediction, settings, objective, processes, now, progress
    )
    return tried, Recommendation.of(tried, objective, sites[0].backend.slots, more_engines, now)


def no_worse(one: Candidate, now: Candidate, objective: Objective) -> bool:
    """Whether `one` is no worse than what runs now in any way that ranks candidates."""
    pairs = zip(one.worth(objective), now.worth(objective), strict=True)
    return all(mine <= others for mine, others in pairs)


def command(tuning: Tuning, *, embedded: bool, slots: int = 0) -> str:
    """The command that serves with all settings of a row.

    Args:
        tuning: the settings.
        embedded: whether the engine is Headway's own; else there is a server, at URL.
        slots: of each engine, unless the tuning sets them; 0: its own.
    """
    at_once = tuning.slots or slots
    words = ["headway serve", *([] if embedded else ["--backend URL"])]
    if at_once:
        words.append(f"--slots {at_once}" if embedded else f"--max-concurrency {at_once}")
    return " ".join([*words, *(f"--set {name}={of}" for name, of in tuning.options.items())])
