"""What llama.cpp would ignore is refused, and what it reads only as a word is said in one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headway.engines.engine import Description, EngineError
from headway.engines.llamacpp_request import as_read

LLAMA = Description(("m",), 1, engine="llama.cpp")
WITHOUT_TOOLS = Description(("m",), 1, engine="llama.cpp", tools=False)
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("weather", "clock", "stop")
]


def read(body: dict[str, Any], description: Description = LLAMA) -> dict[str, Any]:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}
    told = as_read(raw, description)
    return {name: msgspec.json.decode(value) for name, value in told.items()}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def test_a_function_that_must_be_called_is_the_only_one_and_is_called_once() -> None:
    told = read({"n": 1, "tools": TOOLS, "tool_choice": named("clock")})
    assert told == {
        "n": 1,
        "tools": [TOOLS[1]],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools_are_all_that_there_are(mode: str) -> None:
    allowed = {"mode": mode, "tools": [named("stop"), named("weather"), named("stop")]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    told = read({"tools": TOOLS, "tool_choice": choice})
    assert told == {"tools": [TOOLS[2], TOOLS[0]], "tool_choice": mode}


@pytest.mark.parametrize(
    "body",
    [
        {"tools": TOOLS},
        {"tools": TOOLS, "tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": None},
        {"tools": [], "tool_choice": named("clock")},
        {"echo": False, "suffix": "", "best_of": 1, "functions": [], "audio": None},
        {"prompt": "x", "logprobs": 1},
    ],
)
def test_all_else_stays_as_it_is(body: dict[str, Any]) -> None:
    assert read(body) == body


@pytest.mark.parametrize("body", [{"tools": []}, {"tools": TOOLS, "tool_choice": "none"}])
def test_no_tools_may_be_offered_to_a_model_whose_template_has_none(body: dict[str, Any]) -> None:
    assert read(body, WITHOUT_TOOLS) == body


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"echo": True}, "echo", "llama.cpp repeats no prompts"),
        ({"suffix": "}"}, "suffix", "llama.cpp reads no suffix here"),
        ({"best_of": 2}, "best_of", "send n instead"),
        ({"functions": [{"name": "f"}]}, "functions", "send them as tools"),
        ({"audio": {"voice": "alloy"}}, "audio", "llama.cpp speaks no answers"),
        ({"tools": TOOLS, "tool_choice": named("nosuch")}, "tool_choice", "no function 'nosuch'"),
        ({"tools": TOOLS, "tool_choice": {"type": "hosted"}}, "tool_choice", "send auto, none"),
        ({"tools": [{"type": "web"}], "tool_choice": named("f")}, "tool_choice", "are functions"),
    ],
)
def test_what_it_would_ignore_is_refused(body: dict[str, Any], param: str, says: str) -> None:
    refused(body, LLAMA, param, says)


def test_so_are_tools_that_the_model_would_never_see() -> None:
    refused({"tools": TOOLS}, WITHOUT_TOOLS, "tools", "does not show it any")


def refused(body: dict[str, Any], description: Description, param: str, says: str) -> None:
    with pytest.raises(EngineError, match=says) as raised:
        read(body, description)
    error = msgspec.json.decode(raised.value.body)["error"]
    assert raised.value.status == 400
    assert error["param"] == param and error["type"] == "invalid_request_error"
