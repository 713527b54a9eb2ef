"""How much of the possible gain a policy captures."""

from __future__ import annotations

LEAST_GAIN = 0.02
"""Share of FCFS's mean latency; below it the oracle's gain is noise."""


def gain_captured(fcfs_s: float, policy_s: float, oracle_s: float) -> float | None:
    """(FCFS - policy) / (FCFS - oracle) on mean latency.

    None if the oracle itself gains less than LEAST_GAIN: without a queue there is nothing to gain.
    """
    gain_s = fcfs_s - oracle_s
    if gain_s <= LEAST_GAIN * fcfs_s:
        return None
    return (fcfs_s - policy_s) / gain_s
