"""Batches as clients read and write them."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class OutputExpiry(msgspec.Struct):
    """How long output and error file are kept."""

    anchor: str
    seconds: int


class BatchRequest(msgspec.Struct):
    """What begins a batch."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: OutputExpiry | None = None


class Counts(msgspec.Struct):
    """Lines of a batch."""

    total: int
    completed: int
    failed: int


class ErrorView(msgspec.Struct):
    """What is wrong with the input."""

    code: str
    message: str
    line: int | None
    param: str | None


class ErrorList(msgspec.Struct):
    """All of that."""

    data: list[ErrorView]
    object: str = "list"


class InputDetails(msgspec.Struct):
    """Prompt tokens that came from a cache."""

    cached_tokens: int


class OutputDetails(msgspec.Struct):
    """Output tokens that nobody sees."""

    reasoning_tokens: int


class UsageView(msgspec.Struct):
    """Tokens of all answers."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class BatchExtras(msgspec.Struct):
    """What OpenAI's API does not have."""

    owner: str
    """Its tenant; empty where there are no keys."""
    key: str
    """The name of the key that began it."""

    cost: float | None
    """Of all its requests so far, failed ones included; null: nothing has a price yet."""
    unpriced: int
    """Requests without a price; theirs is not in `cost`."""
    uncounted: int
    """Answered requests that are not in this gateway's log, nor in `cost`: others ran them."""
    waits: str | None
    """Why no lines begin; null: they may."""
    ends_at: int | None
    """When it is predicted to end, in the hours in which lines may begin; null: it is paused, or
    not known."""


class BatchView(msgspec.Struct):
    """One batch."""

    id: str
    endpoint: str
    model: str | None
    errors: ErrorList | None
    input_file_id: str
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: Counts
    usage: UsageView
    metadata: dict[str, str] | None
    paused_at: int | None
    """Not in OpenAI's API."""
    completion_window: str = "24h"
    object: str = "batch"
    headway: BatchExtras | UnsetType = UNSET
    """Not of a batch that was begun or changed just now."""


class FailedLineView(msgspec.Struct, kw_only=True):
    """A request of a batch that failed."""

    custom_id: str
    status: int | None
    """That it was answered with; null: it never ran."""
    code: str
    message: str


class FailedLines(msgspec.Struct):
    """The first of them."""

    data: list[FailedLineView]
    total: int


class BatchList(msgspec.Struct):
    """One page of batches."""

    data: list[BatchView]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: str = "list"
