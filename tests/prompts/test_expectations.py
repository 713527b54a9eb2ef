"""What a case may expect of an answer, and what is said where an answer fails it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.prompts.files import GREET, write

from headway.prompts.cases import read_cases
from headway.prompts.errors import PromptError
from headway.prompts.expectations import Expectations

ORDER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def failures(answer: str, tokens: int | None = 5, **expected: Any) -> list[str]:
    expectations = Expectations(**expected)
    expectations.check()
    return expectations.failures(answer, tokens, {}, {})


@pytest.mark.parametrize(
    ("expected", "passes", "fails", "says"),
    [
        ({"contains": "paris"}, "It is Paris.", "Rome", "does not contain 'paris': 'Rome'"),
        ({"contains": ["a", "b"]}, "b a", "b", "does not contain 'a': 'b'"),
        ({"not_contains": "sorry"}, "Yes", "I'm SORRY", "contains 'sorry': \"I'm SORRY\""),
        ({"equals": "yes"}, " yes\n", "Yes", "is not 'yes': 'Yes'"),
        ({"regex": r"^\d+$"}, "42", "42.", "does not match '^\\\\d+$': '42.'"),
        ({"json_schema": ORDER}, '{"n": 1}', "n: 1", "is not JSON: 'n: 1'"),
        ({"json_schema": ORDER}, '{"n": 1}', '{"n": "1"}', "at $.n: '1' is not of type 'integer'"),
    ],
)
def test_each_expectation(expected: Any, passes: str, fails: str, says: str) -> None:
    assert failures(passes, **expected) == []
    (said,) = failures(fails, **expected)
    assert said.endswith(says)


def test_lengths_are_counted_by_the_server() -> None:
    assert failures("a", 8, max_tokens=8) == []
    assert failures("a", 9, max_tokens=8) == ["has 9 tokens, more than 8"]
    assert failures("a", None, max_tokens=8) == [
        "has an unknown number of tokens: the server sent no usage"
    ]


def test_every_failure_is_said() -> None:
    assert len(failures("x" * 500, contains=["a", "b"], equals="c", max_tokens=1)) == 4
    assert all(len(one) < 150 for one in failures("x" * 500, equals="c"))


PYTHON = """
def good(answer, variables): return answer == variables["a"]
def why(answer, variables): return "it is not" if answer != variables["a"] else None
def broken(answer, variables): raise KeyError("b")
"""


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("good", "checks.py:good does not accept it: 'y'"),
        ("why", "it is not"),
        ("broken", "checks.py:broken failed: KeyError: 'b'"),
    ],
)
def test_a_function_of_the_author_decides(tmp_path: Path, function: str, says: str) -> None:
    text = (
        f"cases: [{{name: one, variables: {{a: x}}, expect: {{python: 'checks.py:{function}'}}}}]"
    )
    folder = write(tmp_path, "greet", GREET, tests_yaml=text, checks_py=PYTHON)
    cases = read_cases(folder)
    assert cases is not None
    (case,) = cases.cases
    assert case.expect.failures("y", None, case.variables, cases.python) == [says]
    if function != "broken":
        assert case.expect.failures("x", None, case.variables, cases.python) == []


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("{}", "the case 'one': expect needs at least one of contains, equals"),
        ("{contain: a}", "cases[0].expect: object contains unknown field `contain`"),
        ("{max_tokens: 0}", "cases[0].expect.max_tokens: expected `int` >= 1"),
        ("{regex: '('}", "the case 'one': regex: missing )"),
        ("{json_schema: {type: text}}", "json_schema: 'text' is not valid"),
        ("{python: f}", "python: write 'f' as FILE.py:FUNCTION"),
        ("{python: '../checks.py:good'}", "a file beside the cases"),
        ("{python: 'checks.py:other'}", "checks.py has no function 'other'"),
        ("{python: 'none.py:f'}", "none.py cannot be run: FileNotFoundError"),
    ],
)
def test_cases_that_cannot_be_tried_are_refused_before_any_request(
    tmp_path: Path, expect: str, says: str
) -> None:
    text = f"cases: [{{name: one, expect: {expect}}}]"
    folder = write(tmp_path, "greet", GREET, tests_yaml=text, checks_py=PYTHON)
    with pytest.raises(PromptError) as caught:
        read_cases(folder)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{folder / 'tests.yaml'}: ")


@pytest.mark.parametrize("text", ["", "cases: []", "cases: [{expect: {equals: a}}]", "- a"])
def test_a_file_without_cases_is_refused(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path, "greet", GREET, tests_yaml=text)
    with pytest.raises(PromptError, match=r"tests\.yaml"):
        read_cases(folder)


def test_a_prompt_need_not_have_cases(tmp_path: Path) -> None:
    assert read_cases(write(tmp_path, "greet", GREET)) is None
