"""Anthropic's Messages API, translated to chat completions and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter
from tests.gateway.dialects.chunks import call, chunks, completion, sent, text

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.messages import Messages
from headway.gateway.dialects.messages_answer import error_body, status_of

EVENT = TypeAdapter(RawMessageStreamEvent)
HELLO = [{"role": "user", "content": "Hello, Claude"}]
WEATHER = {
    "name": "weather",
    "description": "of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def messages(**fields: Any) -> Messages:
    request = {"model": "m", "max_tokens": 9, "messages": HELLO, **fields}
    return Messages(json.dumps(request).encode())


def chat(**fields: Any) -> dict[str, Any]:
    """The chat completion that is asked for."""
    found: dict[str, Any] = json.loads(messages(**fields).chat)
    return found


def streamed(parts: list[bytes], **fields: Any) -> list[dict[str, Any]]:
    """All events, each of which the official client knows."""
    events = messages(stream=True, **fields).events
    found = sent(b"".join(events.feed(part) for part in parts) + events.end())
    for event in found:
        if event["type"] != "ping":
            assert EVENT.validate_python(event).type == event["type"]
    return found


def answered(body: bytes, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(messages(**fields).answer(body))
    Message.model_validate(found)
    return found


# ---- requests -------------------------------------------------------------------------------


def test_a_plain_request_asks_for_nothing_else() -> None:
    assert chat() == {"model": "m", "messages": HELLO, "max_tokens": 9}


def test_sampling_fields_have_their_chat_names() -> None:
    asked = chat(temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["\n\nHuman:"])
    assert asked == chat() | {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop": ["\n\nHuman:"],
    }


def test_a_stream_asks_for_nothing_that_a_backend_may_refuse() -> None:
    assert chat(stream=True) == chat() | {"stream": True}


@pytest.mark.parametrize(
    "system", ["Be brief.", [{"type": "text", "text": "Be", "cache_control": {}}]]
)
def test_the_system_prompt_is_the_first_message(system: Any) -> None:
    first, second = chat(system=system)["messages"]
    assert first == {"role": "system", "content": system if isinstance(system, str) else "Be"}
    assert second == HELLO[0]


def test_images_and_documents_become_parts() -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": {"type": "text", "data": "Once"}, "title": "A tale"},
    ]
    (message,) = chat(messages=[{"role": "user", "content": content}])["messages"]
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "text", "text": "A tale\nOnce"},
    ]


def test_one_block_of_text_is_plain_text() -> None:
    content = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
    assert chat(messages=[{"role": "user", "content": content}])["messages"] == [
        {"role": "user", "content": "Hi"}
    ]


def test_tools_and_their_results_go_back_and_forth() -> None:
    asked = chat(
        tools=[WEATHER],
        messages=[
            HELLO[0],
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rom"}},
                    {"type": "tool_use", "id": "t2", "name": "weather", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [
                            {"type": "text", "text": "Sunny"},
                            {"type": "image", "source": {"type": "url", "url": "http://a/b"}},
                        ],
                    },
                    {"type": "tool_result", "tool_use_id": "t2", "content": "?", "is_error": True},
                    {"type": "text", "text": "So?"},
                ],
            },
        ],
    )
    (tool,) = asked["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "weather"
    assert tool["function"]["parameters"] == WEATHER["input_schema"]
    _, assistant, one, two, user = asked["messages"]
    assert assistant["content"] == "Let me see."
    assert [made["id"] for made in assistant["tool_calls"]] == ["t1", "t2"]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"city": "Rom"}
    assert one == {"role": "tool", "tool_call_id": "t1", "content": "Sunny"}
    assert two == {"role": "tool", "tool_call_id": "t2", "content": "Error: ?"}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "weather"},
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_tool_choices(choice: Any, expected: dict[str, Any]) -> None:
    assert chat(tools=[WEATHER], tool_choice=choice) == chat(tools=[WEATHER]) | expected


def test_structured_output_and_effort() -> None:
    schema = {"type": "object"}
    config = {"effort": "max", "format": {"type": "json_schema", "schema": schema}}
    asked = chat(output_config=config)
    assert asked["reasoning_effort"] == "xhigh"
    assert asked["response_format"]["json_schema"]["schema"] == schema


def test_the_user_and_the_urgency_reach_the_scheduler() -> None:
    metadata = {"user_id": "u1", "headway_tier": "batch", "other": 1}
    asked = chat(metadata=metadata, service_tier="standard_only")
    assert asked["user"] == "u1" and asked["service_tier"] == "default"
    assert asked["metadata"] == {"headway_tier": "batch"}


def test_what_means_nothing_here_is_left_out_and_what_is_the_engine_s_is_passed_on() -> None:
    asked = chat(cache_control={"type": "ephemeral"}, container=None, min_p=0.1)
    assert asked == chat() | {"min_p": 0.1}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "messages[0].content[0].type",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"metadata": {"user_id": 3}}, "metadata.user_id"),
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as raised:
        messages(**fields)
    assert raised.value.status == 400 and raised.value.param == param


@pytest.mark.parametrize("wrong", [b'"\xff"', b"[" * 5000 + b"]" * 5000, b'"\\ud800"'])
def test_json_that_is_none_is_refused_however_deep_it_lies(wrong: bytes) -> None:
    use = b'{"type":"tool_use","id":"a","name":"b","input":{"x":%b}}' % wrong
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[%b]}]}' % use
    with pytest.raises(ApiError) as raised:
        Messages(body)
    assert raised.value.status == 400


# ---- whole answers --------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    found = answered(completion(text("Hi!")))
    assert found["id"].startswith("msg_") and found["model"] == "m"
    assert found["content"] == [{"type": "text", "text": "Hi!"}]
    assert found["stop_reason"] == "end_turn" and found["stop_sequence"] is None
    assert found["usage"] == {
        "input_tokens": 8,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 5,
        "headway": {"policy": "srpt"},
    }


@pytest.mark.parametrize(
    ("finish_reason", "choice", "expected"),
    [
        ("length", {}, ("max_tokens", None)),
        ("content_filter", {}, ("refusal", None)),
        ("stop", {"stop_reason": "END"}, ("stop_sequence", "END")),
        ("stop", {"stop_reason": 151643}, ("end_turn", None)),
    ],
)
def test_stop_reasons(finish_reason: str, choice: Any, expected: Any) -> None:
    whole = answered(completion(text("x"), finish_reason, **choice), stop_sequences=["END"])
    assert (whole["stop_reason"], whole["stop_sequence"]) == expected
    parts = chunks(text("x"), finish_reason=finish_reason, **choice)
    delta = streamed(parts, stop_sequences=["END"])[-2]["delta"]
    assert (delta["stop_reason"], delta["stop_sequence"]) == expected


def test_a_refusal_is_a_text_and_a_reason() -> None:
    whole = answered(completion({"refusal": "No."}))
    assert whole["content"] == [{"type": "text", "text": "No."}]
    streamed_reason = streamed(chunks({"refusal": "No"}, {"refusal": "."}))[-2]["delta"]
    assert whole["stop_reason"] == streamed_reason["stop_reason"] == "refusal"


@pytest.mark.parametrize("finish_reason", ["tool_calls", "stop"])
def test_a_whole_answer_that_calls_a_tool(finish_reason: str) -> None:
    made = {"id": "c1", "type": "function"}
    made |= {"function": {"name": "weather", "arguments": '{"city": "Rom"}'}}
    found = answered(completion({"tool_calls": [made]}, finish_reason), tools=[WEATHER])
    assert found["content"] == [
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rom"}}
    ]
    assert found["stop_reason"] == "tool_use"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_shown_to_those_who_want_it(name: str) -> None:
    body = completion({"content": "4", name: "2+2"})
    assert [block["type"] for block in answered(body)["content"]] == ["text"]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    first, second = answered(body, thinking=thinking)["content"]
    assert first == {"type": "thinking", "thinking": "2+2", "signature": ""}
    assert second["text"] == "4"
    omitted = {"type": "adaptive", "display": "omitted"}
    assert len(answered(body, thinking=omitted)["content"]) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"choices": 3}', b"\xff"])
def test_what_is_no_chat_completion_is_the_backend_s_fault(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        messages().answer(body)
    assert raised.value.status == 502 and raised.value.code == "bad_backend_answer"
    if body:
        with pytest.raises(ApiError):
            messages(stream=True).events.feed(b"data: " + body + b"\n\n")


# ---- streams --------------------------------------------------------------------------------


def test_a_streamed_text() -> None:
    events = streamed(chunks(text("Hel"), text("lo")))
    assert [event["type"] for event in events] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start = events[0]["message"]
    assert start["model"] == "m" and start["content"] == [] and start["stop_reason"] is None
    assert [event["delta"]["text"] for event in events[3:5]] == ["Hel", "lo"]
    assert events[6]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[6]["usage"]["output_tokens"] == 5
    assert events[6]["usage"]["input_tokens"] == 8


def test_the_cuts_between_blocks_of_events_mean_nothing() -> None:
    parts = chunks(text("Hel"), text("lo"), call(0, "{}", "c1", "f"))
    apart, together = streamed(parts), streamed([b"".join(parts)])
    assert [e for e in apart if e["type"] != "message_start"] == [
        e for e in together if e["type"] != "message_start"
    ]


def test_streamed_reasoning_text_and_tool_calls_are_blocks_one_after_the_other() -> None:
    events = streamed(
        chunks(
            {"reasoning_content": "Hm"},
            {"reasoning_content": "."},
            text("Let me see"),
            call(0, "", "c1", "weather"),
            call(0, '{"city":'),
            call(0, '"Rom"}'),
            call(1, "{}", "c2", "weather"),
            finish_reason="tool_calls",
        ),
        thinking={"type": "adaptive"},
    )
    starts = [e for e in events if e["type"] == "content_block_start"]
    assert [start["index"] for start in starts] == [0, 1, 2, 3]
    assert [start["content_block"]["type"] for start in starts] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    arguments = [
        e["delta"]["partial_json"]
        for e in events
        if e["type"] == "content_block_delta" and e["index"] == 2
    ]
    assert json.loads("".join(arguments)) == {"city": "Rom"}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    open_index = None
    for event in events:
        if event["type"] == "content_block_start":
            assert open_index is None
            open_index = event["index"]
        elif event["type"] == "content_block_delta":
            assert event["index"] == open_index
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_index
            open_index = None
    assert open_index is None


def test_tool_calls_that_all_have_the_number_0_are_told_apart_by_their_ids() -> None:
    events = streamed(chunks(call(0, "{}", "c1", "a"), call(0, "{}", "c2", "b")))
    starts = [e["content_block"]["id"] for e in events if e["type"] == "content_block_start"]
    assert starts == ["c1", "c2"]


@pytest.mark.parametrize("between", [call(1, "{", "c2", "b"), text("Hm.")])
def test_tool_calls_whose_parts_are_mixed_are_refused(between: dict[str, Any]) -> None:
    events = messages(stream=True).events
    parts = chunks(call(0, "{", "c1", "a"), between, call(0, "}"))
    with pytest.raises(ApiError, match="parallel tool calls"):
        events.feed(b"".join(parts))


def test_comments_keep_the_connection_open() -> None:
    events = messages(stream=True).events
    assert events.feed(b": waiting, 12th\n\n") == b": waiting, 12th\n\n"


def test_an_answer_of_nothing_is_a_whole_message() -> None:
    assert [event["type"] for event in streamed([])] == [
        "message_start",
        "ping",
        "message_delta",
        "message_stop",
    ]


def test_a_broken_stream_ends_with_an_error() -> None:
    events = messages(stream=True).events
    events.feed(chunks(text("Hel"))[0])
    (event,) = sent(events.failure(ApiError(502, "The backend broke off.", code="backend_lost")))
    assert event["error"] == {
        "type": "api_error",
        "message": "The backend broke off.",
        "details": {"error_code": "backend_lost", "param": None},
    }


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ApiError(400, "."), 400, "invalid_request_error"),
        (ApiError(401, "."), 401, "authentication_error"),
        (ApiError(403, "."), 403, "permission_error"),
        (ApiError(404, "."), 404, "not_found_error"),
        (ApiError(413, "."), 413, "request_too_large"),
        (ApiError(415, "."), 415, "invalid_request_error"),
        (ApiError(429, ".", code="rate_limit_exceeded"), 429, "rate_limit_error"),
        (ApiError(429, ".", code="queue_full"), 529, "overloaded_error"),
        (ApiError(500, "."), 500, "api_error"),
        (ApiError(502, "."), 502, "api_error"),
        (ApiError(503, "."), 529, "overloaded_error"),
        (ApiError(504, "."), 504, "timeout_error"),
    ],
)
def test_errors_have_anthropic_s_types(error: ApiError, status: int, kind: str) -> None:
    assert status_of(error) == status
    found = error_body(error)["error"]
    assert (found["type"], found["message"]) == (kind, ".")


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_look_for() -> None:
    error = ApiError(400, "It has 9 tokens.", code="context_length_exceeded", param="messages")
    found = error_body(error)["error"]
    assert found["message"] == "prompt is too long: It has 9 tokens."
    assert found["details"] == {"error_code": "context_length_exceeded", "param": "messages"}
