"""What a gateway's request log would hold of a simulated run."""

from __future__ import annotations

import numpy as np

from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.trace import Trace
from headway.store.request_log import RequestRecord


def records_of(
    trace: Trace, outcome: Outcome, octaves: float = 0.5, unix_s: float = 1e9
) -> list[RequestRecord]:
    """A record of every answer, with predictions that err by `octaves`."""
    errors = np.random.default_rng(0).normal(0.0, octaves, len(trace))
    predicted = trace.output_tokens * 2.0**errors
    return [
        RequestRecord(
            id=str(number),
            arrival_unix_s=unix_s + float(outcome.released_s[number]),
            tier="standard",
            backend=outcome.backends[outcome.backend[number]],
            prompt_tokens=int(trace.prompt_tokens[number]),
            cached_tokens=0,
            predicted_tokens=float(predicted[number]),
            output_tokens=int(trace.output_tokens[number]),
            queue_ms=1000.0 * float(outcome.wait_s[number]),
            ttft_ms=1000.0 * float(outcome.ttft_s[number]),
            total_ms=1000.0 * float(outcome.latency_s[number]),
            preemptions=int(outcome.preemptions[number]),
            outcome="finished",
            status=200,
        )
        for number in np.flatnonzero(outcome.finished).tolist()
    ]
