"""What a gateway knows of a simulated run: its request log, and what is not finished."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import isnan

import numpy as np

from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.trace import Trace
from headway.store.request_record import RequestRecord


def records_of(
    trace: Trace,
    outcome: Outcome,
    numbers: np.ndarray | None = None,
    octaves: float = 0.5,
    unix_s: float = 1e9,
    policies: Sequence[tuple[float, str]] = ((0.0, "fcfs"),),
) -> list[RequestRecord]:
    """A record of each request in `numbers`; None: of each that was answered.

    Predictions err by `octaves`. One without an answer has its predicted length. `policies` says
    since when which policy was in use.
    """
    errors = np.random.default_rng(0).normal(0.0, octaves, len(trace))
    predicted = trace.output_tokens * 2.0**errors
    if numbers is None:
        numbers = np.flatnonzero(outcome.finished)
    return [
        RequestRecord(
            id=str(number),
            arrival_unix_s=unix_s + float(outcome.released_s[number]),
            tier="standard",
            backend=outcome.backends[outcome.backend[number]],
            policy=_policy_at(float(outcome.ended_s[number]), policies),
            prompt_tokens=int(trace.prompt_tokens[number]),
            cached_tokens=0,
            predicted_tokens=float(predicted[number]),
            output_tokens=int(trace.output_tokens[number])
            if outcome.finished[number]
            else max(1, round(float(predicted[number]))),
            queue_ms=_ms(outcome.wait_s[number]),
            ttft_ms=_ms(outcome.ttft_s[number]),
            total_ms=_ms(outcome.latency_s[number]),
            preemptions=int(outcome.preemptions[number]),
            outcome="finished",
            status=200,
        )
        for number in numbers.tolist()
    ]


def _policy_at(time_s: float, policies: Sequence[tuple[float, str]]) -> str:
    if isnan(time_s):
        return ""
    return policies[bisect_right([since_s for since_s, _ in policies], time_s) - 1][1]


def _ms(seconds: float) -> float | None:
    return None if isnan(seconds) else 1000.0 * float(seconds)
