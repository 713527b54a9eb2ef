"""What a predictor sees of a request, whatever a client sends."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.texts.prompt import Prompt


def read(kind: str, **body: object) -> Prompt:
    return Prompt.from_fields(
        kind, {name: msgspec.Raw(json.dumps(value).encode()) for name, value in body.items()}
    )


def test_the_last_question_of_a_chat_is_the_text_and_the_rest_is_history() -> None:
    prompt = read(
        "chat",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi, how are you?"},
            {"role": "user", "content": "List ten rivers."},
        ],
        max_tokens=50,
        temperature=0.5,
        tools=[{"type": "function"}],
        response_format={"type": "json_object"},
        stop=["END", "---"],
    )
    assert prompt == Prompt("List ten rivers.", "Be brief.", 2, 16, 50, 0.5, 1, True, 2)
    assert read("chat", stop="END").stops == 1


def test_the_text_parts_of_a_message_are_used() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:..."}}
    parts = [{"type": "text", "text": "What is"}, image, {"type": "text", "text": "this?"}]
    assert read("chat", messages=[{"role": "user", "content": parts}]).text == "What is\nthis?"


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1], [2]], None, 7])
def test_a_completion_of_token_ids_has_no_text(prompt) -> None:
    assert read("completion", prompt=prompt).text == ""


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(anything, anything, anything, anything)
def test_nothing_that_a_client_sends_is_an_error(messages, limit, response_format, stop) -> None:
    options = {"max_tokens": limit, "response_format": response_format, "stop": stop}
    prompt = read("chat", messages=messages, **options)
    assert isinstance(prompt.text, str)
