"""What is replayed, and on what: traffic, engines, and how far both can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.report.figures import figures
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.fair_prediction import Assumption, assumed_prediction
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.importers.request_log import UNCOUNTED, answered
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.profiles import load_profile, names
from headway.lab.simulation.recent import Recent, recent_traffic
from headway.lab.simulation.remarks import few, left_out
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import NOTHING
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.traffic_replay import MOST_ERROR, TrafficReplay
from headway.store.request_log import newest
from headway.store.request_record import RequestRecord

MOST_REQUESTS = 10_000
"""Rows of the log that are read, and requests of a file that are replayed."""
FITTED = ""
"""As the name of an engine: the gateway's own, by the answers in its log."""


@dataclass(frozen=True)
class Log:
    """The newest part of a gateway's request log, and what it has now.

    Args:
        path: the SQLite file.
        now_unix_s: what is later was written before the clock was set back.
        window_s: how far back traffic goes.
        unfinished: requests that wait or run.
        slots: of the gateway's backends, by name.
    """

    path: Path
    now_unix_s: float
    window_s: float
    unfinished: Sequence[RequestRecord]
    slots: dict[str, int]


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
    notes: list[str] = []
    doubts: list[str] = []
    recent, records = None, list[RequestRecord]()
    if file is None or profile == FITTED:
        if log is None:
            raise SimulationError(
                "this gateway keeps no request log, so it has no traffic and no engine to replay; "
                "upload a trace and choose a profile, or set log.requests_db"
            )
        recent, records, said = _recent(log)
        notes += said if file is None else []
    if file is not None:
        trace = load_trace(file)
        scored = np.ones(len(trace), bool)
        notes.append(f"{len(trace):,} requests over {_duration(trace.span_s)} from {file.name}.")
        notes += left_out(trace)
        if len(trace) > MOST_REQUESTS:
            notes.append(f"Only its first {MOST_REQUESTS:,} are replayed.")
            trace, scored = trace.first(MOST_REQUESTS), scored[:MOST_REQUESTS]
    else:
        assert recent is not None
        trace, scored = recent.trace, recent.scored
    prediction = assumed_prediction("", trace)
    if profile == FITTED:
        assert recent is not None and log is not None
        sites, said, doubt = _fitted(recent, records, log.slots, settings)
        notes += said
        doubts += doubt
    else:
        found = load_profile(profile)
        sites = [Site(found.name, found)]
        notes.append(
            f"Engine: the profile {profile}, with {found.slots} slots. It was not fitted to an "
            "engine of this gateway: compare the rows with each other, not with what was served."
        )
    notes.append(f"Prediction of lengths: {prediction}.")
    count = int(scored.sum())
    doubts += few(count)
    return Ground(trace, scored, sites, settings, prediction, notes, doubts, profile == FITTED)


def _recent(log: Log) -> tuple[Recent, list[RequestRecord], list[str]]:
    """The newest traffic, all records that were read, and what is to be known of them."""
    left_out = Counter[str]()
    last = newest(log.path)
    records = answered(log.path, max(0, last - MOST_REQUESTS), left_out)
    records = [one for one in records if one.arrival_unix_s <= log.now_unix_s]
    if not records:
        raise SimulationError(
            "all requests in the log came later than now: the clock was set back; newer requests "
            "will count"
        )
    recent = recent_traffic(records, log.unfinished, log.window_s, log.path.name)
    count, ended = int(recent.scored.sum()), records[-1].arrival_unix_s
    began = max(records[0].arrival_unix_s, ended - log.window_s)
    said = [f"{count:,} requests between {_moment(began)} and {_moment(ended)} UTC."]
    if last > MOST_REQUESTS and records[0].arrival_unix_s > ended - log.window_s:
        said.append(f"More are not read: the newest {MOST_REQUESTS:,} rows of the log.")
    if log.unfinished:
        said.append(
            f"{len(log.unfinished):,} of them are not finished; they count with their predicted "
            "lengths."
        )
    if uncounted := left_out.pop(UNCOUNTED, 0):
        said.append(
            f"Left out of the rows that were read: {uncounted:,} answers whose backend counted no "
            "tokens."
        )
    if others := left_out.total():
        named = ", ".join(f"{count:,} {name}" for name, count in left_out.most_common())
        said.append(f"Left out, too: {others:,} requests without a whole answer ({named}).")
    return recent, records, said


def _fitted(
    recent: Recent, records: Sequence[RequestRecord], slots: dict[str, int],
    settings: SchedulerSettings,
) -> tuple[Sequence[Site], list[str], list[str]]:  # fmt: skip
    """The gateway's engines, as fast as they really were; what they rest on; doubts."""
    sites = logged_sites(records, slots)
    prediction = assumed_prediction("", recent.trace).kind
    replay = TrafficReplay(recent, sites, settings, NOTHING, prediction)
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
    return replay.sites, notes, doubts


def _moment(unix_s: float) -> str:
    at = datetime.fromtimestamp(unix_s, UTC)
    return f"{at.day} {at:%b %H:%M}"


def _duration(seconds: float) -> str:
    if seconds < 120.0:
        return f"{figures(seconds)} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"
