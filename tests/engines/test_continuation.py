"""Which requests can be stopped and continued, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engines.generations import generation

from headway.engines.continuation import continuable
from headway.engines.engine import Description, Kind

HELLO = [{"role": "user", "content": "Hello"}]


def judge(kind: Kind, description: Description | None = None, **fields: Any) -> str | None:
    given = {"messages": HELLO} if kind == "chat" else {"prompt": "Hello"}
    return continuable(kind, generation(kind, **(given | fields)).body, description)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 0.7, "top_p": 0.9, "max_tokens": 5, "stop": ["x"], "user": "u"},
        {"seed": 1, "temperature": 0},
        {"seed": 1, "temperature": 0.0},
        {"seed": None},
        {"seed": -1},
        {"n": 1, "tools": [], "logprobs": False, "response_format": {"type": "text"}},
        {"tools": None, "response_format": None, "n": None, "logprobs": None},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "image_url"}]}]},
        {"messages": [{"role": "assistant", "content": None, "type": "x"}]},
        {"messages": "not even a list of type"},
    ],
)
def test_a_chat_that_can(fields: dict[str, Any]) -> None:
    assert judge("chat", **fields) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tools": [{"type": "function"}]}, "uses tools"),
        ({"functions": [{"name": "f"}]}, "uses functions"),
        ({"response_format": {"type": "json_object"}}, "has a response format"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "has a response format"),
        ({"grammar": "root ::= x"}, "has a grammar"),
        ({"guided_json": {"type": "object"}}, "has a schema"),
        ({"structured_outputs": {"regex": "a"}}, "has a structure"),
        ({"n": 2}, "asks for n > 1"),
        ({"logprobs": True}, "asks for logprobs"),
        ({"seed": 1}, "has a seed and a temperature above 0"),
        ({"seed": 0, "temperature": 0.5}, "has a seed and a temperature above 0"),
        ({"mirostat": 2}, "uses mirostat"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "has content other than text",
        ),
    ],
)
def test_a_chat_that_cannot(fields: dict[str, Any], reason: str) -> None:
    assert (judge("chat", **fields) or "").startswith(reason)


@pytest.mark.parametrize("prompt", ["x", ["x"], [1, 2], [[1, 2]], [" spaced"]])
def test_a_completion_that_can(prompt: Any) -> None:
    assert judge("completion", prompt=prompt, echo=False, suffix=None, best_of=1) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"prompt": ["a", "b"]}, "has several prompts"),
        ({"prompt": [[1], [2]]}, "has several prompts"),
        ({"echo": True}, "wants its prompt echoed"),
        ({"suffix": "end"}, "has a suffix"),
        ({"best_of": 2}, "asks for best_of > 1"),
        ({"logprobs": 0}, "asks for logprobs"),
        ({"use_beam_search": True}, "uses beam search"),
    ],
)
def test_a_completion_that_cannot(fields: dict[str, Any], reason: str) -> None:
    assert (judge("completion", **fields) or "").startswith(reason)


def test_the_engine_has_a_say() -> None:
    able = Description(("m",), 1, exact_resume=True, engine="llama.cpp")
    assert judge("chat", able, stop="x", presence_penalty=1) is None
    unable = Description(("m",), 1, exact_resume=False)
    assert judge("chat", unable) == "runs on an engine that cannot continue from token ids"
    parses = Description(("m",), 1, exact_resume=True, parses_chat=True)
    assert "reasoning" in (judge("chat", parses) or "")
    assert judge("completion", parses) is None


def test_vllm_cannot_continue_what_it_counts_over_new_tokens_only() -> None:
    vllm = Description(("m",), None, exact_resume=True, engine="vllm")
    assert judge("chat", vllm) is None
    assert judge("chat", vllm, stop=[], presence_penalty=0, frequency_penalty=0.0) is None
    assert "stop strings" in (judge("chat", vllm, stop=["x"]) or "")
    assert "penalty" in (judge("chat", vllm, presence_penalty=0.5) or "")
    assert "bad words" in (judge("chat", vllm, bad_words=["sea"]) or "")
    assert "repetitions" in (judge("chat", vllm, repetition_detection={"min_count": 2}) or "")


def test_vllm_cannot_continue_a_chat_whose_prompt_its_tokenize_does_not_make() -> None:
    vllm = Description(("m",), None, exact_resume=True, engine="vllm")
    assert judge("chat", vllm, documents=None, reasoning_effort=None) is None
    assert "documents" in (judge("chat", vllm, documents=[{"text": "x"}]) or "")
    assert "effort" in (judge("chat", vllm, reasoning_effort="low") or "")
