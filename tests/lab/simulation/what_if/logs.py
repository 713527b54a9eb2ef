"""Request logs of a gateway that was busy: simulated traffic, written through the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from tests.lab.simulation.conftest import SMALL, trace
from tests.lab.simulation.served_log import records_of

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord

FCFS = SchedulerSettings(policy="fcfs")
TENANTS = ("chat", "nightly")


def busy(requests: int = 300, gap_s: float = 0.12, **changes: Any) -> list[RequestRecord]:
    """Requests that fcfs served, the last of which came a minute ago; the longest are one
    tenant's."""
    rng = np.random.default_rng(2)
    arrival_s = np.cumsum(rng.exponential(gap_s, requests))
    lengths = np.exp(rng.normal(3.4, 1.3, requests)).astype(int) + 1
    given = trace(arrival_s - arrival_s[0], lengths, prompt_tokens=8)
    served = records_of(given, simulate(given, [Site("exact", SMALL)], FCFS, Oracle(given)))
    later_s = time.time() - 60.0 - served[-1].arrival_unix_s
    return [
        msgspec.structs.replace(
            one,
            **{
                "arrival_unix_s": one.arrival_unix_s + later_s,
                "tenant": TENANTS[(one.output_tokens or 0) > 150],
            }
            | changes,
        )
        for one in served
    ]


def written(path: Path, records: Sequence[RequestRecord]) -> Path:
    """The log of these."""
    with closing(RequestLog(path, batch_s=0.0)) as log:
        for record in records:
            log.write(record)
    return path
