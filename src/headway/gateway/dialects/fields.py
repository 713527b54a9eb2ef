"""Fields of requests to other APIs that are unknown there or not supported here."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from headway.gateway.api.errors import ApiError

T = TypeVar("T")

OutputLimit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
"""Maximum number of output tokens."""

_OF_CHAT = frozenset(
    (
        "audio",
        "best_of",
        "echo",
        "function_call",
        "functions",
        "input",
        "instructions",
        "logprobs",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "messages",
        "modalities",
        "n",
        "n_predict",
        "prompt",
        "response_format",
        "stop_sequences",
        "stream_options",
        "suffix",
        "system",
        "text",
        "thinking",
    )
)
"""Fields that only some of the chat APIs have."""


def extras(fields: dict[str, T], known: frozenset[str], api: str) -> dict[str, T]:
    """Fields that `api` does not know; they are passed to the engine, such as `min_p`.

    Args:
        fields: the fields of the request.
        known: the fields of the API.
        api: the path of the API.

    Raises:
        ApiError: 400 for a field that belongs to another API.
    """
    unknown = {name: value for name, value in fields.items() if name not in known}
    for name in unknown:
        if name in _OF_CHAT:
            raise ApiError(
                400,
                f"{api} has no field {name!r}; it belongs to another API, see docs/api.md.",
                code="unknown_parameter",
                param=name,
            )
    return unknown


def unsupported(message: str, param: str) -> ApiError:
    """The error for a feature of the API that Headway does not support."""
    return ApiError(400, message, code="unsupported_parameter", param=param)
