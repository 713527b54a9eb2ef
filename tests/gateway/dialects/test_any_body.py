"""Bodies of any kind are either translated or refused: nothing else happens."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.dialects.chunks import completion

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.dialect import Dialect
from headway.gateway.dialects.messages import Messages
from headway.gateway.dialects.messages_request import MessagesRequest, read_counting
from headway.gateway.dialects.responses import Responses
from headway.gateway.dialects.responses_request import ResponsesRequest, prompt_of, read
from headway.gateway.intake.given import read as read_chat

NAMES = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "id",
        "name",
        "input",
        "tool_use_id",
        "call_id",
        "arguments",
        "output",
        "source",
        "data",
        "url",
        "media_type",
        "image_url",
        "file_data",
        "tools",
        "parameters",
        "input_schema",
        "format",
        "schema",
        "effort",
    ]
)
WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "system",
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "search_result",
        "thinking",
        "base64",
        "url",
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
        "input_text",
        "output_text",
        "input_image",
        "input_file",
        "function",
        "json_schema",
        "allowed_tools",
        "auto",
        "x",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def bodies(request: type[msgspec.Struct], given: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """A request of that type with some of its fields replaced."""
    fields = st.dictionaries(st.sampled_from(request.__struct_fields__), VALUES, max_size=3)
    return fields.map(lambda found: json.dumps({**given, **found}).encode())


def messages(body: bytes) -> Dialect:
    read_counting(body)
    return Messages(body)


def responses(body: bytes) -> Dialect:
    request, fields = read(body)
    prompt_of(request, [])
    return Responses(request, fields, [], lambda id, items, response: None)


@pytest.mark.parametrize(
    ("translate", "body"),
    [
        (
            messages,
            bodies(
                MessagesRequest,
                {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
            ),
        ),
        (responses, bodies(ResponsesRequest, {"model": "m", "input": "x"})),
    ],
)
@given(data=st.data())
def test_they_are_translated_or_refused(
    translate: Any, body: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    drawn = data.draw(body)
    try:
        dialect = translate(drawn)
    except ApiError as error:
        assert error.status == 400 and error.message
        return
    try:
        read_chat("/v1/chat/completions", dialect.chat)
    except ApiError as error:
        assert error.status == 400
    assert json.loads(dialect.answer(completion({"content": "Hello"})))
    assert dialect.events.failure(ApiError(502, "It broke."))
