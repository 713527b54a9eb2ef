"""What is replayed, and on what: traffic, engines, and how far both can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.report.figures import figures
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.fair_prediction import Assumption, assumed_prediction
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.profiles import load_profile, names
from headway.lab.simulation.remarks import few, left_out
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import NOTHING
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.traffic_replay import MOST_ERROR, TrafficReplay
from headway.lab.simulation.what_if.recorded import Log, Recorded, recorded

MOST_REQUESTS = 10_000
"""Requests of a file that are replayed."""
FITTED = ""
"""As the name of an engine: the gateway's own, by the answers in its log."""


@dataclass(frozen=True)
class Ground:
    """What stays the same in all rows of an answer."""

    trace: Trace
    scored: np.ndarray
    """Which requests count: not those that ran when the traffic began."""
    sites: Sequence[Site]
    settings: SchedulerSettings
    prediction: Assumption
    notes: Sequence[str]
    """What it rests on, in sentences."""
    doubts: Sequence[str]
    """Why the answer says little, in sentences; none: it can be relied on."""
    own: bool
    """Whether the engines are the gateway's, so that it can do what is found here."""

    def extrapolated(self, slots: Sequence[int]) -> list[str]:
        """What a profile that was fitted to the gateway's engines cannot know of so many slots."""
        most = max(site.profile.slots for site in self.sites)
        beyond = [str(number) for number in slots if number > most]
        if not (self.own and beyond):
            return []
        return [
            f"No more than {most} requests ever ran at once there, so how slow "
            f"{' or '.join(beyond)} make each other is extrapolated."
        ]


@dataclass(frozen=True)
class _Traffic:
    """What is replayed; the rest as in Ground."""

    trace: Trace
    scored: np.ndarray
    notes: Sequence[str]


@dataclass(frozen=True)
class _Engines:
    """What it runs on; all as in Ground."""

    sites: Sequence[Site]
    notes: Sequence[str]
    doubts: Sequence[str] = ()


def ground_of(
    log: Log | None, file: Path | None, profile: str, settings: SchedulerSettings
) -> Ground:
    """Traffic of a log or of a file, on the gateway's own engines or on one of a profile.

    Args:
        log: of the gateway; None: it keeps none.
        file: a trace; None: the traffic is that of the log.
        profile: one that ships; FITTED: the engines of the gateway.
        settings: of the scheduler, without its policy.

    Raises:
        SimulationError: the file is no trace, there is no such profile, or the log has too little.
    """
    if profile != FITTED and profile not in names():
        raise SimulationError(f"no profile {profile!r}; there are {', '.join(names())}")
    if file is not None and profile != FITTED:
        traffic, engines = _of_file(file), _of_profile(profile)
    elif log is None:
        raise SimulationError(
            "this gateway keeps no request log, so it has no traffic and no engine to replay; "
            "upload a trace and choose a profile, or set log.requests_db"
        )
    else:
        known = recorded(log)
        traffic = _of_log(known) if file is None else _of_file(file)
        engines = _fitted(known, settings) if profile == FITTED else _of_profile(profile)
    prediction = assumed_prediction("", traffic.trace)
    return Ground(
        trace=traffic.trace,
        scored=traffic.scored,
        sites=engines.sites,
        settings=settings,
        prediction=prediction,
        notes=[*traffic.notes, *engines.notes, f"Prediction of lengths: {prediction}."],
        doubts=[*engines.doubts, *few(int(traffic.scored.sum()))],
        own=profile == FITTED,
    )


def _of_log(known: Recorded) -> _Traffic:
    return _Traffic(known.recent.trace, known.recent.scored, known.notes)


def _of_file(file: Path) -> _Traffic:
    trace = load_trace(file)
    notes = [f"{len(trace):,} requests over {_duration(trace.span_s)} from {file.name}."]
    notes += left_out(trace)
    if len(trace) > MOST_REQUESTS:
        notes.append(f"Only its first {MOST_REQUESTS:,} are replayed.")
        trace = trace.first(MOST_REQUESTS)
    return _Traffic(trace, np.ones(len(trace), bool), notes)


def _of_profile(name: str) -> _Engines:
    profile = load_profile(name)
    note = (
        f"Engine: the profile {name}, with {profile.slots} slots. It was not fitted to an "
        "engine of this gateway: compare the rows with each other, not with what was served."
    )
    return _Engines([Site(profile.name, profile)], [note])


def _fitted(known: Recorded, settings: SchedulerSettings) -> _Engines:
    """The gateway's engines, as fast as they really were."""
    sites = logged_sites(known.records, known.log.slots)
    prediction = assumed_prediction("", known.recent.trace).kind
    replay = TrafficReplay(known.recent, sites, settings, NOTHING, prediction)
    replay, evidence = replay.as_served()
    engines = ", ".join(
        f"{site.name} with {site.profile.slots} slots, fitted to {site.profile.source}"
        for site in sites
    )
    notes = [
        f"Engine: {engines}. A replay of how they were served has a mean latency of "
        f"{figures(evidence.replayed_mean_s)} s and a p99 of {figures(evidence.replayed_p99_s)} s; "
        f"it was {figures(evidence.served_mean_s)} s and {figures(evidence.served_p99_s)} s."
    ]
    doubts = []
    if evidence.error > MOST_ERROR:
        doubts.append(
            f"A replay of how these requests were served is off by {evidence.error:.0%}, so what "
            "it says of other policies is not to be relied on."
        )
    return _Engines(replay.sites, notes, doubts)


def _duration(seconds: float) -> str:
    if seconds < 120.0:
        return f"{figures(seconds)} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"
