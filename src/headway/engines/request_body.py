"""Reads the fields of a client's request that engine clients translate."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from headway.engines.engine import EngineError, Generation, Kind

Body = dict[str, msgspec.Raw]

_OURS = frozenset(
    (
        "model",
        "messages",
        "prompt",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n_predict",
        "service_tier",
        "user",
        "metadata",
        "priority",
        "store",
        "n",
        "best_of",
        "echo",
        "suffix",
        "logprobs",
        "top_logprobs",
        "n_probs",
        "response_format",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "parallel_tool_calls",
        "modalities",
        "return_tokens",
        "return_token_ids",
        "response_fields",
        "return_progress",
        "timings_per_token",
        "headway",
    )
)
"""Fields that Headway handles or replaces, or that do not affect a continuable request."""


def sampling_fields(body: Body) -> Body:
    """The fields to pass to the engine unchanged, without nulls."""
    return {k: v for k, v in body.items() if k not in _OURS and bytes(v) != b"null"}


def output_limit(body: Body, default: int | None = None) -> int | None:
    """The client's output limit in tokens, else `default`; None: no limit.

    Raises EngineError.
    """
    for field in ("max_completion_tokens", "max_tokens", "n_predict"):
        limit: int | None = _field(body, field, int | None)
        if limit is None:
            continue
        if limit >= 0:
            return limit
        if limit < -1 and field != "n_predict":
            raise EngineError.invalid(f"{field} must be -1 (no limit) or more", param=field)
        default = None
    return default


def min_tokens(body: Body) -> int:
    """The client's minimum number of output tokens (a field of vLLM). Raises EngineError."""
    return _field(body, "min_tokens", int | None) or 0


def is_greedy(body: Body) -> bool:
    """Whether decoding is greedy (temperature 0). Raises EngineError."""
    temperature: float | None = _field(body, "temperature", float | None)
    return temperature == 0


def stop_strings(body: Body) -> list[str]:
    """The stop strings as a list, even if there is only one. Raises EngineError."""
    stop: str | list[str] | None = _field(body, "stop", str | list[str] | None)
    return [stop] if isinstance(stop, str) else stop or []


def text_prompt(body: Body) -> str | list[int]:
    """The prompt of a completion: text, or token ids. Raises EngineError."""
    prompt: Any = _field(body, "prompt", str | list[str | int | list[int]] | None)
    if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    if prompt and all(isinstance(one, int) for one in prompt):
        return cast(list[int], prompt)
    raise EngineError.invalid("give one prompt: a string, or an array of token ids", param="prompt")


def too_long(kind: Kind, prompt_tokens: int, context_tokens: int) -> EngineError:
    """OpenAI's error for a prompt that exceeds the context."""
    return EngineError.invalid(
        f"This model's maximum context length is {context_tokens} tokens, but the prompt has "
        f"{prompt_tokens}; shorten it.",
        param="messages" if kind == "chat" else "prompt",
        code="context_length_exceeded",
    )


def tokens_left(generation: Generation, limit: int | None) -> int | None:
    """Number of tokens still to generate; None: no limit."""
    return None if limit is None else max(0, limit - generation.output_tokens)


def _field(body: Body, name: str, expect: Any) -> Any:
    raw = body.get(name)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=expect)
    except msgspec.DecodeError as error:
        raise EngineError.invalid(f"{name}: {error}", param=name) from None
