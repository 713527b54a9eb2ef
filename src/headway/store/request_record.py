"""A row of the request log."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    arrival_unix_s REAL NOT NULL,
    tier TEXT NOT NULL,
    tenant TEXT NOT NULL,
    program TEXT NOT NULL,
    model TEXT NOT NULL,
    backend TEXT NOT NULL,
    policy TEXT NOT NULL,
    prompt_tokens INTEGER,
    cached_tokens INTEGER,
    max_tokens INTEGER,
    predicted_tokens REAL,
    output_tokens INTEGER,
    queue_ms REAL,
    ttft_ms REAL,
    total_ms REAL,
    preemptions INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    template TEXT NOT NULL,
    features TEXT NOT NULL,
    prompt TEXT,
    prompt_name TEXT NOT NULL DEFAULT '',
    prompt_version INTEGER,
    step TEXT NOT NULL DEFAULT '',
    parents TEXT NOT NULL DEFAULT '',
    to_come_ms REAL,
    key TEXT NOT NULL DEFAULT '',
    batch TEXT NOT NULL DEFAULT '',
    charged_tokens INTEGER,
    cost REAL,
    life TEXT
);
CREATE INDEX IF NOT EXISTS requests_by_arrival ON requests (arrival_unix_s);
"""

ADDED = {
    "prompt_name": "TEXT NOT NULL DEFAULT ''",
    "prompt_version": "INTEGER",
    "step": "TEXT NOT NULL DEFAULT ''",
    "parents": "TEXT NOT NULL DEFAULT ''",
    "to_come_ms": "REAL",
    "key": "TEXT NOT NULL DEFAULT ''",
    "batch": "TEXT NOT NULL DEFAULT ''",
    "charged_tokens": "INTEGER",
    "cost": "REAL",
    "life": "TEXT",
}
"""Columns that logs from before do not have. They get them when a gateway opens them."""

INDEX_OF_ADDED = """
CREATE INDEX IF NOT EXISTS requests_by_batch ON requests (batch) WHERE batch != ''
"""
"""Made once those columns are there."""

Outcome = Literal["finished", "cancelled", "rejected", "failed"]


class RequestRecord(msgspec.Struct, kw_only=True, frozen=True):
    """One finished request. Unknown values are None."""

    id: str
    arrival_unix_s: float
    tier: str
    tenant: str = ""
    program: str = ""
    model: str = ""
    backend: str = ""
    """The last backend it ran on; empty if it never ran."""
    policy: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    max_tokens: int | None = None
    predicted_tokens: float | None = None
    """Mean of the estimate that it was scheduled by, in output tokens."""
    output_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    queue_ms: float | None = None
    """From arrival to first start."""
    ttft_ms: float | None = None
    total_ms: float | None = None
    preemptions: int = 0
    outcome: Outcome
    status: int
    """HTTP status sent to the client."""
    reason: str = ""
    """Why it failed, was rejected or could not be preempted."""
    template: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{0,16}$")] = ""
    """Hash of the beginning of its prompt, in hexadecimal; requests from one template share it."""
    features: tuple[int, ...] = ()
    """The predictor's features of the prompt, as integers; made by the log's own thread."""
    prompt: str | None = None
    prompt_name: str = ""
    """The registered prompt that it was made from; empty: none."""
    prompt_version: int | None = None
    step: str = ""
    """Its name in the run that `program` names."""
    parents: str = ""
    """Names of the steps of its run that it waited for, with commas between."""
    to_come_ms: float | None = None
    """Mean of what was to come after it in its run, as the scheduler had it."""
    key: str = ""
    """The name of the API key that it came with; empty: none."""
    batch: str = ""
    """The batch that it is a line of; empty: none."""
    charged_tokens: int | None = None
    """Tokens that count against rates and budgets: prompt and output, as far as it came."""
    cost: float | None = None
    """What it cost, in the currency of the prices; None: something that it ran on has no price."""


FIELDS = RequestRecord.__struct_fields__
