"""The body of a request for work of backends, decoded, and what it says of its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from headway.engines.engine import Kind
from headway.gateway.api.errors import ApiError
from headway.gateway.api.wire import (
    Call,
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
)
from headway.gateway.http.body import parsed
from headway.gateway.work.work import BYTES_PER_TOKEN
from headway.prediction.texts.prompt import SYSTEM_ROLES, text_of

MEDIA = ("image_url", "input_audio", "video_url", "audio_url", "file")
"""Parts of a message that are not text; usually large and in base64."""
MEDIA_TOKENS = 1000
"""Approximate tokens of each such part: images have some hundreds or thousands, of any size."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)


class Endpoint(NamedTuple):
    """What an endpoint takes."""

    kind: Kind | None
    path: str
    """At a backend."""
    decoder: msgspec.json.Decoder[Any]
    prompt_field: str


ENDPOINTS: Mapping[str, Endpoint] = {
    f"/v1/{endpoint.path}": endpoint
    for endpoint in (
        Endpoint("chat", "chat/completions", msgspec.json.Decoder(ChatRequest), "messages"),
        Endpoint("completion", "completions", msgspec.json.Decoder(CompletionRequest), "prompt"),
        Endpoint(None, "embeddings", msgspec.json.Decoder(EmbeddingRequest), "input"),
    )
}
"""By the path of the gateway."""


class Given(NamedTuple):
    """The body of a request, decoded."""

    call: Any
    """The fields that Headway knows, in the type of the path."""
    fields: dict[str, msgspec.Raw]
    """All fields, with their values unchanged."""


def opening(call: ChatRequest | CompletionRequest) -> str:
    """The text of the first system message, else of the first message; or of the prompt.

    Empty if that has no text.
    """
    if isinstance(call, CompletionRequest):
        return text_of(call.prompt)
    messages = call.messages
    first = next((one for one in messages if one.role in SYSTEM_ROLES), messages[0])
    if not isinstance(first.content, list):
        return first.content or ""
    texts = [part["text"] for part in first.content if "text" in part]
    return "\n".join(_STRING.decode(text) for text in texts if bytes(memoryview(text)[:1]) == b'"')


def estimated_prompt_tokens(call: Call, body: bytes) -> int:
    """Approximate number of prompt tokens in `body`; an engine counts them later."""
    messages = call.messages if isinstance(call, ChatRequest) else ()
    parts = [part for one in messages if isinstance(one.content, list) for part in one.content]
    media = [memoryview(part[name]).nbytes for part in parts for name in MEDIA if name in part]
    return max(1, (len(body) - sum(media)) // BYTES_PER_TOKEN + MEDIA_TOKENS * len(media))


def read(path: str, body: bytes) -> Given:
    """Decode the body of a POST to `path`.

    Raises:
        ApiError: 400; it says where the JSON is malformed, or which field is wrong and how.
    """
    call = parsed(body, ENDPOINTS[path].decoder)
    fields = parsed(body, _FIELDS)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ApiError(
            400,
            f"The body is not UTF-8 at byte {error.start}; send JSON in UTF-8.",
            code="invalid_utf8",
        ) from None
    return Given(call, fields)
