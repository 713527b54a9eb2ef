"""What `/v1/headway/history` and the paths below it return."""

from __future__ import annotations

from msgspec import Struct

from headway.store.history.ahead import Ahead
from headway.store.history.life import Stretch
from headway.store.history.pages import Row


class HistoryPage(Struct, kw_only=True):
    """GET /v1/headway/history."""

    data: list[Row]
    """The newest first."""
    next: str | None
    """To be sent as `after` for the next page; null: this is the last."""
    damaged: int
    """Rows that were left out, because they make no sense."""


class PredictionView(Struct, kw_only=True):
    """What was predicted of an answer, in output tokens, and what came."""

    by: str
    """`client` (its claim), `prompt` (the predictor), `history` (of similar requests); empty: not
    known, or nothing was."""
    mean: float | None
    """Before its first token."""
    low: int | None
    """One in ten is shorter."""
    high: int | None
    """One in ten is longer."""
    again_at: list[int]
    """When it was predicted again: at so many output tokens."""
    last_mean: float | None
    """Of the last of those predictions."""
    output_tokens: int | None
    """That came."""


class HistoryRequest(Row, kw_only=True):
    """GET /v1/headway/history/{request_id}."""

    endpoint: str
    stream: bool | None
    policy: str
    step: str
    parents: list[str]
    batch: str
    prompt_name: str
    prompt_version: int | None
    cached_tokens: int | None
    max_tokens: int | None
    claimed_tokens: int | None
    charged_tokens: int | None
    deadline_ms: float | None
    """From its arrival on."""
    prediction: PredictionView
    timeline: list[Stretch]
    """What it did, one after another."""
    ahead: Ahead | None
    """Who went before it while it waited; null: it did not wait."""
    headers: dict[str, str]
    """That its client sent, and that say nothing secret."""
    message: str
    """The error that its client got, where it was refused before it was scheduled; else empty."""
    prompt: str | None
    """Null unless `log.prompts` is on."""
