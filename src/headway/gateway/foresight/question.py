"""What `headway replay` is asked, as JSON on its standard input."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

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
