"""Small engines and traces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.lab.simulation.profile import Profile
from headway.lab.simulation.trace import Trace

SMALL = Profile(
    "small",
    dense_tokens=(1.0, 8.0, 64.0),
    dense_s=(0.010, 0.012, 0.040),
    sequence_s=0.0001,
    decode_kv_s=0.000002,
    prefill_kv_s=0.0000001,
    batch_tokens=64,
    slots=4,
)
CLOCK = Profile("clock", (1.0,), (0.01,), slots=1, batch_tokens=4096)
"""One request at a time, 10 ms a token whatever it does."""


def trace(
    arrival_s: Sequence[float], output_tokens: Sequence[int], prompt_tokens: int = 1
) -> Trace:
    """One prompt length for all."""
    return Trace(
        "test",
        np.array(arrival_s, float),
        np.full(len(arrival_s), prompt_tokens),
        np.array(output_tokens, int),
    )
