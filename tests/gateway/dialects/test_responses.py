"""OpenAI's Responses API, translated to chat completions and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseItem, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.gateway.dialects.chunks import call, chunks, completion, sent, text

from headway.gateway.api.errors import ApiError
from headway.gateway.dialects.responses import Responses
from headway.gateway.dialects.responses_items import Item
from headway.gateway.dialects.responses_request import read

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)
USER = {"role": "user", "content": "Hi"}
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}
FUNCTION = {name: value for name, value in WEATHER.items() if name != "type"}
Kept = list[tuple[str, Any, Any]]


def responses(earlier: list[Item] | None = None, kept: Kept | None = None, **fields: Any) -> Any:
    given, untouched = read(json.dumps({"model": "m", "input": "Hi", **fields}).encode())

    def keep(id: str, items: bytes, response: bytes) -> None:
        assert kept is not None
        kept.append((id, json.loads(items), json.loads(response)))

    return Responses(given, untouched, earlier or [], None if kept is None else keep)


def chat(earlier: list[Item] | None = None, **fields: Any) -> dict[str, Any]:
    """The chat completion that is asked for."""
    found: dict[str, Any] = json.loads(responses(earlier, **fields).chat)
    return found


def messages(*items: dict[str, Any], **fields: Any) -> Any:
    return chat(input=list(items), **fields)["messages"]


def streamed(parts: list[bytes], **fields: Any) -> list[dict[str, Any]]:
    """All events, each of which the official client knows, numbered from 0."""
    events = responses(stream=True, **fields).events
    found = sent(b"".join(events.feed(part) for part in parts) + events.end())
    for number, event in enumerate(found):
        assert EVENT.validate_python(event).type == event["type"]
        assert event["sequence_number"] == number
    return found


def answered(body: bytes, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(responses(**fields).answer(body))
    Response.model_validate(found)
    return found


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


# ---- requests -------------------------------------------------------------------------------


def test_a_plain_request_asks_for_nothing_else() -> None:
    assert chat() == {"model": "m", "messages": [USER]}


def test_fields_have_their_chat_names() -> None:
    asked = chat(
        max_output_tokens=9,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low"},
        user="u1",
        service_tier="flex",
        stream=True,
    )
    assert asked == chat() | {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "verbosity": "low",
        "user": "u1",
        "service_tier": "flex",
        "stream": True,
    }


def test_metadata_stays_here_but_for_what_the_scheduler_reads() -> None:
    metadata = {"topic": "x", "headway_tier": "batch"}
    assert chat(metadata=metadata)["metadata"] == {"headway_tier": "batch"}
    assert answered(completion(text("x")), metadata=metadata)["metadata"] == metadata


def test_what_is_the_engine_s_is_passed_on() -> None:
    asked = chat(min_p=0.1, prompt_cache_key="x", conversation=None, truncation="auto")
    assert asked == chat() | {"min_p": 0.1}


def test_instructions_and_the_first_system_messages_are_one() -> None:
    developer = {"role": "developer", "content": [{"type": "input_text", "text": "Talk."}]}
    late = {"type": "message", "role": "system", "content": "Stop."}
    assert messages(developer, USER, late, instructions="Be brief.") == [
        {"role": "system", "content": "Be brief.\n\nTalk."},
        USER,
        {"role": "system", "content": "Stop."},
    ]


def test_images_files_and_audio_become_parts() -> None:
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    (message,) = messages({"role": "user", "content": content})
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
        },
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]


def test_function_calls_and_their_outputs_go_back_and_forth() -> None:
    found = messages(
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me see", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "Sunny"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "Rain"},
                {"type": "input_image", "image_url": "http://a/b"},
            ],
        },
        {"role": "user", "content": "So?"},
    )
    user, assistant, one, two, image, last = found
    assert user == USER and last["content"] == "So?"
    assert assistant["content"] == "Let me see"
    assert [made["id"] for made in assistant["tool_calls"]] == ["c1", "c2"]
    assert assistant["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"a": 1}'}
    assert one == {"role": "tool", "tool_call_id": "c1", "content": "Sunny"}
    assert two == {"role": "tool", "tool_call_id": "c2", "content": "Rain"}
    assert image["role"] == "user" and image["content"][0]["type"] == "image_url"


def test_what_was_said_earlier_comes_first() -> None:
    earlier = [
        Item(type="message", role="user", content="One"),
        Item(type="message", role="assistant", content="Two"),
    ]
    asked = chat(earlier, instructions="Be brief.")
    roles = [message["role"] for message in asked["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_text_formats() -> None:
    assert "response_format" not in chat(text={"format": {"type": "text"}})
    form = chat(text={"format": {"type": "json_object"}})["response_format"]
    assert form == {"type": "json_object"}
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    form = chat(text={"format": schema})["response_format"]
    assert form == {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", "required"),
        (
            {"type": "function", "name": "weather"},
            {"type": "function", "function": {"name": "weather"}},
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "weather"}],
            },
            "required",
        ),
    ],
)
def test_functions(choice: Any, expected: Any) -> None:
    asked = chat(
        tools=[WEATHER, *([WEATHER | {"name": "b"}] if "allowed_tools" in str(choice) else [])],
        tool_choice=choice,
        parallel_tool_calls=False,
    )
    assert asked["tools"] == [{"type": "function", "function": FUNCTION}]
    assert asked["tool_choice"] == expected and asked["parallel_tool_calls"] is False
    assert chat(tool_choice="auto", parallel_tool_calls=True) == chat()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input[0]"),
        ({"input": [{"role": "user"}]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0]",
        ),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [WEATHER], "tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"messages": [USER]}, "messages"),
        ({"max_tokens": 9}, "max_tokens"),
        ({"n": 2}, "n"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as raised:
        responses(**fields)
    assert raised.value.status == 400 and raised.value.param == param


@pytest.mark.parametrize("wrong", [b'"\xff"', b"[" * 5000 + b"]" * 5000, b'"\\ud800"'])
@pytest.mark.parametrize("place", [b'"input":[{"role":"user","content":"x","y":%b}]', b'"text":%b'])
def test_json_that_is_none_is_refused_however_deep_it_lies(wrong: bytes, place: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        read(b'{"model":"m","input":"x",%b}' % (place % wrong))
    assert raised.value.status == 400


def test_places_are_those_of_the_request_whatever_was_said_before() -> None:
    earlier = [Item(type="message", role="user", content="One")]
    with pytest.raises(ApiError) as raised:
        responses(earlier, input=[USER, {"type": "item_reference", "id": "x"}])
    assert raised.value.param == "input[1]"


# ---- whole answers --------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    found = answered(completion(text("Hello!")), instructions="Be brief.", max_output_tokens=9)
    assert found["id"].startswith("resp_") and found["object"] == "response"
    assert found["status"] == "completed" and found["error"] is None
    assert found["instructions"] == "Be brief." and found["max_output_tokens"] == 9
    assert found["tools"] == [] and found["text"] == {"format": {"type": "text"}}
    (item,) = found["output"]
    assert item["role"] == "assistant" and item["status"] == "completed"
    assert item["content"] == [
        {"type": "output_text", "text": "Hello!", "annotations": [], "logprobs": []}
    ]
    assert found["usage"] == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 17,
        "headway": {"policy": "srpt"},
    }


@pytest.mark.parametrize(
    ("finish_reason", "status", "reason"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_how_an_answer_ends(finish_reason: str, status: str, reason: str | None) -> None:
    whole = answered(completion(text("x"), finish_reason))
    last = streamed(chunks(text("x"), finish_reason=finish_reason))[-1]
    assert last["type"] == f"response.{status}"
    for response in (whole, last["response"]):
        assert response["status"] == status
        assert (response["incomplete_details"] or {}).get("reason") == reason
        assert response["output"][-1]["status"] == status


def test_a_whole_answer_with_reasoning_a_refusal_and_a_function_call() -> None:
    made = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = completion(
        {"reasoning_content": "Hm.", "content": "A", "refusal": "No", "tool_calls": [made]},
        "tool_calls",
    )
    reasoning, message, called = answered(body, tools=[WEATHER])["output"]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert called["call_id"] == "c1" and called["arguments"] == "{}"
    assert called["id"].startswith("fc_") and called["status"] == "completed"


def test_logprobs_go_through() -> None:
    token = {"token": "x", "bytes": [120], "logprob": -0.5, "top_logprobs": []}
    include = ["message.output_text.logprobs"]
    asked = chat(include=include, top_logprobs=2)
    assert asked["logprobs"] is True and asked["top_logprobs"] == 2
    body = completion(text("x"), logprobs={"content": [token]})
    (item,) = answered(body, include=include)["output"]
    assert item["content"][0]["logprobs"] == [token]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"choices": 3}', b"\xff"])
def test_what_is_no_chat_completion_is_the_backend_s_fault(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        responses().answer(body)
    assert raised.value.status == 502 and raised.value.code == "bad_backend_answer"


# ---- streams --------------------------------------------------------------------------------


def test_a_streamed_text() -> None:
    events = streamed(chunks(text("Hel"), text("lo")))
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    created, *_, completed = events
    assert created["response"]["status"] == "in_progress" and created["response"]["output"] == []
    assert [event["delta"] for event in events[4:6]] == ["Hel", "lo"]
    assert events[6]["text"] == events[7]["part"]["text"] == "Hello"
    assert completed["response"]["output"] == [events[8]["item"]]
    assert completed["response"]["usage"]["output_tokens"] == 5
    assert completed["response"]["id"] == created["response"]["id"]
    assert {event["item_id"] for event in events[3:8]} == {events[8]["item"]["id"]}


def test_streamed_reasoning_text_refusal_and_calls_are_items_one_after_the_other() -> None:
    events = streamed(
        chunks(
            {"reasoning_content": "Hm"},
            text("A"),
            {"refusal": "No"},
            call(0, "", "c1", "weather"),
            call(0, '{"city":'),
            call(0, '"Rom"}'),
            call(1, "", "c2", "weather"),
            finish_reason="tool_calls",
        )
    )
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert [part["type"] for part in output[1]["content"]] == ["output_text", "refusal"]
    assert output[2]["arguments"] == '{"city":"Rom"}' and output[3]["arguments"] == "{}"
    assert [e["item"] for e in events if e["type"] == "response.output_item.done"] == output
    added = [e for e in events if e["type"] == "response.output_item.added"]
    assert [e["output_index"] for e in added] == [0, 1, 2, 3]
    deltas = [e for e in events if e["type"] == "response.function_call_arguments.delta"]
    assert "".join(e["delta"] for e in deltas) == '{"city":"Rom"}'


def test_streamed_logprobs() -> None:
    token = {"token": "x", "bytes": [120], "logprob": -0.5, "top_logprobs": []}
    part = chunks(text("x"))[1].replace(b'"index": 0', b'"index": 0, "logprobs": {"content": [T]}')
    events = streamed([part.replace(b"T", json.dumps(token).encode(), 1)])
    delta, done = (e for e in events if e["type"].startswith("response.output_text"))
    assert delta["logprobs"] == done["logprobs"] == [token]


def test_an_answer_of_nothing_is_a_whole_response() -> None:
    assert kinds(streamed([])) == ["created", "in_progress", "completed"]


def test_a_broken_stream_ends_with_an_error_and_a_failed_response() -> None:
    kept: Kept = []
    events = responses(stream=True, kept=kept).events
    events.feed(b"".join(chunks(text("Hel"))[:2]))
    found = sent(events.failure(ApiError(502, "It broke off.", code="backend_lost")))
    assert kinds(found) == ["error", "failed"]
    for event in found:
        EVENT.validate_python(event)
    assert found[0]["message"] == "It broke off." and found[0]["code"] == "backend_lost"
    assert found[1]["response"]["error"] == {"code": "server_error", "message": "It broke off."}
    assert kept[0][2]["status"] == "failed"


def test_a_stream_without_usage_is_counted_by_its_events() -> None:
    without_usage = [part for part in chunks(text("a"), text("b")) if b"prompt_tokens" not in part]
    usage = streamed(without_usage)[-1]["response"]["usage"]
    assert usage["output_tokens"] == 2 and usage["input_tokens"] == 0


# ---- what is kept ---------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_kept_with_its_input(stream: bool) -> None:
    kept: Kept = []
    one = responses(kept=kept, stream=stream, input=[USER, {"role": "assistant", "content": "x"}])
    if stream:
        for part in chunks(text("Hello")):
            one.events.feed(part)
        response = sent(one.events.end())[-1]["response"]
    else:
        response = json.loads(one.answer(completion(text("Hello"))))
    ((id, items, found),) = kept
    assert found == response and id == response["id"] and response["store"] is True
    for item in items:
        ITEM.validate_python(item)
    assert items[0]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert items[1]["content"] == [{"type": "output_text", "text": "x", "annotations": []}]


def test_store_false_keeps_nothing() -> None:
    kept: Kept = []
    found = json.loads(responses(kept=kept, store=False).answer(completion(text("x"))))
    assert kept == [] and found["store"] is False
    assert answered(completion(text("x")), store=True)["store"] is False  # there is no store
