"""Formats that hold no traffic: refused by their names, with what to take instead."""

from __future__ import annotations

from collections.abc import Collection

from headway.lab.simulation.errors import SimulationError

NO_TIMES = "it does not say when requests came"
REPLAY = "send it through a gateway, and take the gateway's request log"
JSON_KEYS: tuple[tuple[set[str], str], ...] = (
    ({"custom_id", "body"}, f"requests for OpenAI's Batch API: {NO_TIMES}; {REPLAY}"),
    ({"session_id", "turns"}, f"AIPerf's multi-turn prompts: {NO_TIMES}; {REPLAY}"),
    ({"data"}, "inputs, as AIPerf's; take its profile_export.jsonl"),
    ({"resourceSpans"}, "OpenTelemetry's traces; take the gateway's request log"),
    ({"aiperf_version"}, "the totals of AIPerf; take its profile_export.jsonl"),
    ({"input_config", "request_count"}, "the totals of AIPerf; take its profile_export.jsonl"),
    ({"metadata", "responses"}, "AIPerf's raw records; take its profile_export.jsonl"),
    (
        {"requests_per_second"},
        "the totals of a benchmark; run `vllm bench serve` with --save-result --save-detailed",
    ),
    (
        {"request_throughput"},
        "the totals of a benchmark; run `vllm bench serve` with --save-result --save-detailed",
    ),
    ({"input_length", "request_id"}, f"ServeGen's offline tasks: {NO_TIMES}; take its pools"),
    ({"messages"}, f"prompts: {NO_TIMES}; {REPLAY}"),
    ({"prompt"}, f"prompts: {NO_TIMES}; {REPLAY}"),
    ({"text"}, f"prompts: {NO_TIMES}; {REPLAY}"),
)
"""Keys of the first row, and what has them."""
HEADERS: tuple[tuple[set[str], str], ...] = (
    (
        {"num_prefill_tokens", "num_decode_tokens"},
        f"Vidur's lengths without arrived_at: {NO_TIMES}; add the column",
    ),
    ({"Metric", "avg"}, "the totals of AIPerf; take its profile_export.jsonl"),
    (
        {"arrival", "outcome", "total_ms"},
        "the history of a gateway, without what the prefix cache saved; take its request log, "
        "requests.db",
    ),
    ({"prompt", "response"}, f"prompts: {NO_TIMES}; {REPLAY}"),
)
"""The same by columns of a CSV file."""


def refuse_known(
    path: object, names: Collection[str], formats: tuple[tuple[set[str], str], ...]
) -> None:
    """Raises SimulationError if `names` are those of one of `formats`."""
    for named, what in formats:
        if named <= set(names):
            raise SimulationError(f"{path} holds {what}")
