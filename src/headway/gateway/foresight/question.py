"""What `headway replay` is asked, as JSON on its standard input."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from headway.core.scheduler import Scheduler
from headway.store.event_log import settings_as_values

MOST_REPLAYED = 4000
"""Requests that a replay takes which nobody waits for."""
About = Literal["policies", "settings", "engines"]
"""Which policy pays; which settings meet an SLO; how many engines do."""


class Unfinished(msgspec.Struct, kw_only=True):
    """A request that waits or runs: not in the log yet, and most of them are long."""

    id: str
    arrival_unix_s: float
    tier: str
    tenant: str
    program: str
    prompt_tokens: int
    max_tokens: int | None
    predicted_tokens: float
    output_tokens: int
    """So far."""
    queue_s: float | None
    """From arrival to first start; None: it has not started."""


class Question(msgspec.Struct, kw_only=True):
    """About recent traffic."""

    log: str
    """Path of the request log; empty: there is none."""
    now_unix_s: float
    """What is later in the log was written before the clock was set back."""
    unfinished: list[Unfinished]
    window_s: float
    most_requests: int
    slots: dict[str, int]
    """Of each backend that may take requests now."""
    current: str
    slo: str
    settings: dict[str, Any]
    """Of the scheduler, as plain values."""
    about: Literal["policy", "gain"] = "policy"
    """Which policy to serve with, or what the one in use gains."""


class WhatIfQuestion(msgspec.Struct, kw_only=True):
    """What `headway what-if` is asked."""

    about: About
    traffic: Question
    """Of the gateway; its `log` is empty if it keeps none."""
    file: str
    """Path of a trace, whose traffic takes the place of the log's; empty: none."""
    report: str
    """Path of the page to write."""
    policies: list[str]
    slots: list[int]
    """Of each engine, besides as many as there are."""
    profile: str
    """Of the engine; empty: the gateway's own, by its log."""
    slo: str


def question_of(
    scheduler: Scheduler,
    request_log: Path | None,
    now_s: float,
    *,
    current: str,
    window_s: float,
    most_requests: int,
    slo: str = "",
    about: Literal["policy", "gain"] = "policy",
) -> Question:
    """A question about the traffic of `scheduler`, at `now_s` on its clock."""
    return Question(
        log="" if request_log is None else str(request_log),
        now_unix_s=time.time(),
        unfinished=_unfinished(scheduler, now_s, most_requests),
        window_s=window_s,
        most_requests=most_requests,
        slots={name: one.slots for name, one in scheduler.backends.items() if one.slots},
        current=current,
        slo=slo,
        settings=settings_as_values(scheduler.settings),
        about=about,
    )


def _unfinished(scheduler: Scheduler, now_s: float, most: int) -> list[Unfinished]:
    """What waits or runs at `now_s` on the scheduler's clock, at most so many."""
    zero_unix_s = time.time() - now_s
    return [
        Unfinished(
            id=request.id,
            arrival_unix_s=zero_unix_s + request.arrival_s,
            tier=request.tier.label,
            tenant=request.tenant,
            program=request.program,
            prompt_tokens=request.prompt_tokens,
            max_tokens=request.max_tokens,
            predicted_tokens=request.predicted_tokens,
            output_tokens=request.output_tokens,
            queue_s=request.started_s - request.arrival_s if request.started_s >= 0 else None,
        )
        for request in islice(scheduler.requests.values(), most)
    ]
