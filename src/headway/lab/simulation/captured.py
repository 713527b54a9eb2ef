"""How much of what knowing every length would gain the policy in use captures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from headway.core.settings import SchedulerSettings
from headway.lab.report.gain import gain_captured
from headway.lab.simulation.recent import Recent
from headway.lab.simulation.site import Site
from headway.lab.simulation.slo import NOTHING
from headway.lab.simulation.traffic_replay import MOST_ERROR, TrafficReplay

LEAST_REQUESTS = 50
"""Fewer say too little about a mean."""
FCFS, ORACLE = "fcfs", "srpt"


class Captured(msgspec.Struct, frozen=True):
    """Mean latency of recent traffic, replayed."""

    policy: str
    requests: int
    share: float | None
    """(fcfs - policy) / (fcfs - oracle); null: it is not known, and `reason` says why."""
    reason: str = ""
    fcfs_s: float | None = None
    policy_s: float | None = None
    oracle_s: float | None = None
    p99_ratio: float | None = None
    """p99 latency under the policy, over that under fcfs."""


def captured(
    recent: Recent, sites: Sequence[Site], settings: SchedulerSettings, current: str
) -> Captured:
    """Replay recent traffic under fcfs, under the current policy, and as an oracle would serve it.

    Args:
        recent: traffic; the log holds the lengths that were predicted, and the real ones.
        sites: what it runs on.
        settings: of the scheduler, without its policy.
        current: the policy in use.

    Raises:
        SimulationError: the trace holds no predictions, or a request fits no engine.
    """
    count = int(recent.scored.sum())
    if count < LEAST_REQUESTS:
        why = f"{count} requests say too little; {LEAST_REQUESTS} are needed"
        return Captured(current, count, None, why)
    replay, evidence = TrafficReplay(recent, sites, settings, NOTHING, "logged").as_served()
    if evidence.error > MOST_ERROR:
        why = f"a replay of how they were served is off by {evidence.error:.0%}"
        return Captured(current, count, None, why)
    fcfs = replay.under(FCFS)[0].latency_s
    policy = replay.under(current)[0].latency_s
    oracle = replace(replay, prediction="oracle").under(ORACLE)[0].latency_s
    share = gain_captured(fcfs.mean, policy.mean, oracle.mean)
    return Captured(
        policy=current,
        requests=count,
        share=share,
        reason="" if share is not None else "hardly any request waited, so no order gains anything",
        fcfs_s=fcfs.mean,
        policy_s=policy.mean,
        oracle_s=oracle.mean,
        p99_ratio=policy.p99 / fcfs.p99 if fcfs.p99 > 0.0 else None,
    )
