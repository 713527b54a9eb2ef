"""Fields of a request in another API: which it has itself, and which go to the engine."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from headway.gateway.api.errors import ApiError

T = TypeVar("T")

OutputLimit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
"""The most tokens of an answer."""

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
"""Fields with which one of the APIs says what another one says otherwise."""


def extras(fields: dict[str, T], known: frozenset[str], api: str) -> dict[str, T]:
    """Fields that `api` does not know: they are the engine's business, such as `min_p`.

    Args:
        fields: of the request.
        known: the fields of the API.
        api: its path.

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
    """The refusal of something that the API has and Headway has not."""
    return ApiError(400, message, code="unsupported_parameter", param=param)
