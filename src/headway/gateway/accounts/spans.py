"""A request as a trace: a span of its own, and one for each stretch of its life.

The names are those of OpenTelemetry's conventions for generative AI, written out: the constants in
its packages are deprecated.
"""

from __future__ import annotations

from typing import Any

from headway.store.history.life import Life, stretches
from headway.store.request_record import RequestRecord
from headway.traces.span import Context, Span

OPERATIONS = {
    "chat/completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}


def spans_of(record: RequestRecord, life: Life, place: Context) -> list[Span]:
    """The spans of a request that has ended, its own first.

    Args:
        record: what is known of it.
        life: its runs.
        place: of its own span; backends continue the trace under it.
    """
    operation = OPERATIONS.get(life.endpoint, life.endpoint)
    began_at = record.arrival_unix_s
    failed = record.outcome in ("failed", "rejected")
    found = [
        Span(
            f"{operation} {record.model}",
            place.trace_id,
            place.span_id,
            place.parent_id,
            began_at,
            began_at + (record.total_ms or 0.0) / 1000.0,
            _attributes(record, life, operation),
            is_server=True,
            error=record.reason or record.outcome if failed else None,
        )
    ]
    for number, one in enumerate(stretches(record, life), 1):
        attributes: dict[str, Any] = {"headway.backend": one.backend} if one.backend else {}
        if one.why:
            attributes["headway.ended_because"] = one.why
        if one.output_tokens is not None:
            attributes["headway.output_tokens"] = one.output_tokens
        found.append(
            Span(
                one.phase,
                place.trace_id,
                (place.span_id + number) % 2**64 or 1,
                place.span_id,
                began_at + one.began_ms / 1000.0,
                began_at + one.ended_ms / 1000.0,
                attributes,
                error=one.why if one.why == "failed" else None,
            )
        )
    return found


def _attributes(record: RequestRecord, life: Life, operation: str) -> dict[str, Any]:
    first_s = None if record.ttft_ms is None else record.ttft_ms / 1000.0
    found: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "headway",
        "gen_ai.conversation.id": record.program or None,
        "gen_ai.request.model": record.model,
        "gen_ai.request.max_tokens": record.max_tokens,
        "gen_ai.request.stream": life.stream,
        "gen_ai.prompt.name": record.prompt_name or None,
        "gen_ai.response.id": record.id,
        "gen_ai.response.model": record.model,
        "gen_ai.response.time_to_first_chunk": first_s,
        "gen_ai.usage.input_tokens": record.prompt_tokens,
        "gen_ai.usage.output_tokens": record.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
        "http.response.status_code": record.status,
        "user_agent.original": life.user_agent or None,
        "headway.tier": record.tier,
        "headway.tenant": record.tenant or None,
        "headway.policy": record.policy,
        "headway.backend": record.backend or None,
        "headway.outcome": record.outcome,
        "headway.queue_ms": record.queue_ms,
        "headway.predicted_tokens": record.predicted_tokens,
        "headway.preemptions": record.preemptions,
        "headway.cost": record.cost,
    }
    return {name: value for name, value in found.items() if value is not None}
