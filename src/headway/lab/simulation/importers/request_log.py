"""Headway's own request log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headway.core.request import Tier
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.rows import in_order
from headway.lab.simulation.trace import Trace
from headway.store.request_log import RequestLogError, read
from headway.store.request_record import RequestRecord

UNCOUNTED = "uncounted"


def load(path: Path) -> Trace:
    """The requests that were answered in full. Raises SimulationError."""
    left_out = Counter[str]()
    found = trace_of(answered(path, left_out=left_out), path.name)
    return replace(found, left_out=left_out.total())


def answered(
    path: Path, after: int = 0, left_out: Counter[str] | None = None
) -> list[RequestRecord]:
    """The records of requests that were answered in full, in the order of their arrival.

    Args:
        path: of the log.
        after: only records with a larger number.
        left_out: counts the others: by their outcome, and under UNCOUNTED those that were answered
            by a backend that counted no tokens.

    Raises:
        SimulationError: it cannot be read, or there is none.
    """
    records, others = [], Counter[str]() if left_out is None else left_out
    try:
        for _, record in read(path, after):
            if record.outcome != "finished":
                others[record.outcome] += 1
            elif not (record.prompt_tokens and record.output_tokens):
                others[UNCOUNTED] += 1
            else:
                records.append(record)
    except RequestLogError as error:
        raise SimulationError(str(error)) from None
    if not records and others[UNCOUNTED]:
        raise SimulationError(
            f"{path} has the numbers of tokens of none of its {others[UNCOUNTED]} answers, so "
            "there is nothing to replay; let the backend report `usage`"
        )
    if not records:
        raise SimulationError(f"{path} holds no request that was answered in full")
    return [records[n] for n in in_order([record.arrival_unix_s for record in records])]


def trace_of(
    records: Sequence[RequestRecord], name: str, since_unix_s: float | None = None
) -> Trace:
    """The traffic of `records`, which are in the order of their arrival. Prompts are without what
    came from the prefix cache: nobody knows with which others they began alike.

    It begins with the first of them, or at `since_unix_s`: then those that came before it come
    first, in any order, and arrive at 0.
    """
    first_s = records[0].arrival_unix_s if since_unix_s is None else since_unix_s
    return Trace(
        name,
        np.array([max(0.0, record.arrival_unix_s - first_s) for record in records]),
        np.array([max(1, (one.prompt_tokens or 0) - (one.cached_tokens or 0)) for one in records]),
        np.array([record.output_tokens for record in records], int),
        tenants=[record.tenant for record in records],
        tiers=[Tier.parse(record.tier) for record in records],
        programs=[record.program for record in records],
        steps=[record.step for record in records],
        prompt_ids=[record.id for record in records],
        max_tokens=np.array([record.max_tokens or 0 for record in records], int),
        predicted_tokens=np.array([record.predicted_tokens or 0.0 for record in records]),
    )
