"""The newest traffic of a gateway, with those that waited or ran when it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from headway.lab.simulation.importers.request_log import trace_of
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.trace import Trace
from headway.store.request_record import RequestRecord


@dataclass(frozen=True)
class Recent:
    """Traffic to replay, and what came of it. Columns have one row a request of the trace."""

    trace: Trace
    scored: np.ndarray
    """Which requests a policy could still have served otherwise: not those that ran when the
    traffic began."""
    latency_s: np.ndarray
    """As served; NaN: not finished yet."""
    run_s: np.ndarray
    """From start to end, as served; NaN: not finished yet, or stopped on the way."""
    policies: tuple[tuple[float, str], ...]
    """Since when which policy was in use, in seconds of the trace; empty: nothing was logged."""


class AsServed:
    """The policies that were in use, for a replay of what really happened."""

    def __init__(self, policies: Sequence[tuple[float, str]]) -> None:
        self._left = list(policies)
        self.next_s = self._left[0][0] if self._left else inf

    def policy(self, now_s: float, so_far: Outcome) -> str:
        """The policy that was in use at `now_s`."""
        _, policy = self._left.pop(0)
        self.next_s = self._left[0][0] if self._left else inf
        return policy


def recent_traffic(
    answered: Sequence[RequestRecord],
    unfinished: Sequence[RequestRecord],
    window_s: float,
    name: str,
) -> Recent:
    """Requests that came at most `window_s` before the last answered one, and what they met.

    The trace begins with those that waited or ran then: they have waited for as long as they
    really had, and what was produced of their answers is there.

    Args:
        answered: in the order of their arrival, at least one.
        unfinished: requests that wait or run, with their predicted lengths. Without them, a policy
            that lets long requests wait would seem to have none.
        window_s: how far back.
        name: of the trace.
    """
    since_unix_s = answered[-1].arrival_unix_s - window_s
    came = sorted((*answered, *unfinished), key=lambda one: one.arrival_unix_s)
    running: list[RequestRecord] = []
    waiting: list[RequestRecord] = []
    later: list[RequestRecord] = []
    for record in came:
        if record.arrival_unix_s >= since_unix_s:
            later.append(record)
        elif _ended_unix_s(record) > since_unix_s:
            ran = _after(record, record.queue_ms) <= since_unix_s
            (running if ran else waiting).append(record)
    if not running and not waiting:
        since_unix_s = later[0].arrival_unix_s
    records = [*running, *waiting, *later]
    began = len(running) + len(waiting)
    waited_s = np.zeros(len(records))
    waited_s[:began] = [since_unix_s - one.arrival_unix_s for one in records[:began]]
    produced = np.full(len(records), -1)
    produced[: len(running)] = [_produced(one, since_unix_s) for one in running]
    trace = trace_of(records, name, since_unix_s)
    ended = np.array([record.total_ms is not None for record in records])
    whole = ended & np.array([not record.preemptions for record in records])
    total_s = np.array([record.total_ms or 0.0 for record in records]) / 1000.0
    queue_s = np.array([record.queue_ms or 0.0 for record in records]) / 1000.0
    return Recent(
        replace(trace, waited_s=waited_s, produced_tokens=produced),
        scored=produced < 0,
        latency_s=np.where(ended, total_s, np.nan),
        run_s=np.where(whole, total_s - queue_s, np.nan),
        policies=_policies(answered, since_unix_s),
    )


def _policies(
    answered: Sequence[RequestRecord], since_unix_s: float
) -> tuple[tuple[float, str], ...]:
    """A record names the policy that was in use at its end."""
    policies: list[tuple[float, str]] = []
    for record in sorted(answered, key=_ended_unix_s):
        at_s = max(0.0, _ended_unix_s(record) - since_unix_s)
        if not record.policy or (policies and record.policy == policies[-1][1]):
            continue
        if at_s <= 0.0:  # only the last one before the traffic counts
            policies.clear()
        policies.append((at_s, record.policy))
    if policies:
        policies[0] = (0.0, policies[0][1])
    return tuple(policies)


def _after(record: RequestRecord, elapsed_ms: float | None) -> float:
    """When so much of it had passed; never if that is not known."""
    return inf if elapsed_ms is None else record.arrival_unix_s + elapsed_ms / 1000.0


def _ended_unix_s(record: RequestRecord) -> float:
    return _after(record, record.total_ms)


def _produced(record: RequestRecord, at_unix_s: float) -> int:
    """Its output tokens by then, as if they had come evenly; fewer than all."""
    first_s, ended_s = _after(record, record.ttft_ms), _ended_unix_s(record)
    tokens = record.output_tokens or 1
    if not first_s < at_unix_s < ended_s < inf:
        return 0
    share = (at_unix_s - first_s) / (ended_s - first_s)
    return min(tokens - 1, int(tokens * share))
