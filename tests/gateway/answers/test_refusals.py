"""What engines refuse, in words and with a status that are for our clients."""

from __future__ import annotations

import json

import msgspec
import pytest

from headway.gateway.answers.refusals import refused


def detail(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "server_error"}}).encode()


@pytest.mark.parametrize(
    ("status", "message", "param", "says"),
    [
        (
            400,
            "unsupported content[].type",
            "messages",
            "messages: the model 'm' reads parts of the type `text` only; leave others out.",
        ),
        (
            400,
            "Prompt contains invalid tokens",
            "prompt",
            "prompt: some of these token ids are not in the vocabulary of 'm'; make them",
        ),
        (
            500,
            "image input is not supported - hint: you may need to provide the mmproj",
            "messages",
            "The model 'm' cannot read images or audio; send text only.",
        ),
        (
            501,
            "This server does not support embeddings. Start it with `--embeddings`",
            "model",
            "The model 'm' makes no embeddings; ask for one that does: /v1/models lists",
        ),
        (
            500,
            "Failed to parse tools: [json.exception.out_of_range.403] key 'name' not found; "
            'tools = [\n  {\n    "type": "function"\n  }\n]',
            "tools",
            "Failed to parse tools: key 'name' not found.",
        ),
        (
            400,
            "Field 'logprobs': [json.exception.type_error.302] type must be number, but is string",
            None,
            "Field 'logprobs': type must be number, but is string.",
        ),
        (
            400,
            "Unable to generate parser for this template. Automatic parser generation failed: "
            "JSON schema error at #: unrecognized type nosuch",
            None,
            "JSON schema error at #: unrecognized type nosuch.",
        ),
    ],
)
def test_a_client_s_mistake_is_400_in_words_that_it_can_follow(
    status: int, message: str, param: str | None, says: str
) -> None:
    refusal = refused(status, detail(message), "m")
    assert refusal is not None and refusal.status == 400
    error = msgspec.json.decode(refusal.body)["error"]
    assert error["type"] == "invalid_request_error" and error["param"] == param
    assert error["message"].startswith(says)
    assert "mmproj" not in error["message"] and "--embeddings" not in error["message"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, detail("out of memory")),
        (500, detail("[json.exception.type_error.302] while it answered")),
        (400, detail("Invalid tool_choice: nosuch")),
        (500, b"Failed to parse tools: not JSON"),
        (502, b""),
    ],
)
def test_what_the_engine_says_well_or_is_its_own_fault_stays(status: int, body: bytes) -> None:
    assert refused(status, body, "m") is None
