"""What the journal keeps of results and errors: they come back as they were."""

from __future__ import annotations

import enum
import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pydantic
import pytest

from headway.workflows import errors, values
from headway.workflows.errors import NotStorable, StepFailed
from headway.workflows.llm import Refused


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    colour: Colour
    seen_at: datetime
    names: dict[int, bytes]


class Form(pydantic.BaseModel):
    age: int


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (Point(1, Colour.RED, datetime(2026, 1, 2), {3: b"\0\xff"}), Point),
        ({1: "a", 2: "b"}, dict[int, str]),
        ({("ü \U0001f600")}, set[str]),
        ([Path("a/b"), Path("ü")], list[Path]),
        ({"a": [1]}, object),
        ([1, 2], Iterable[int]),
        ({"one": Form(age=3)}, dict[str, Form]),
        ((2**80, None), tuple[int, None]),
    ],
)
def test_an_annotation_brings_a_value_back(value: Any, type_: Any) -> None:
    assert values.from_json(values.to_json(value, "it"), type_) == value


def test_a_value_of_another_type_is_refused_in_a_sentence() -> None:
    for text, type_, why in (
        ("3", Path, "Expected `Path`, got `int`"),
        ('[{"age": "old"}]', list[Form], "Input should be a valid integer"),
    ):
        with pytest.raises(NotStorable, match=why):
            values.from_json(text, type_)


class WithCode(Exception):
    """Takes other arguments than it passes on, as many do."""

    def __init__(self, code: int, answer: object) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.answer = answer


def _fails(work: Callable[[], Any]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("it went well")


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("work", "attributes"),
    [
        (lambda: json.loads("no"), {"pos": 0, "doc": "no"}),
        (lambda: json.loads("no" * 20_000), {"pos": 0}),
        (
            lambda: Path("/nonexistent/file").read_text(),
            {"errno": 2, "filename": "/nonexistent/file"},
        ),
        (lambda: subprocess.run(["false"], check=True), {"returncode": 1, "cmd": ["false"]}),
        (lambda: {}["key"], {}),
        (lambda: _raise(WithCode(7, object())), {"code": 7}),
        (lambda: _raise(Refused("busy", 503, 2.5, "full")), {"status": 503, "retry_after_s": 2.5}),
    ],
)
def test_an_error_is_of_its_own_class_when_it_is_raised_again(
    work: Callable[[], Any], attributes: dict[str, Any]
) -> None:
    first = _fails(work)
    again = errors.from_json(errors.to_json(first))
    assert (type(again), str(again)) == (type(first), str(first))
    assert {name: getattr(again, name) for name in attributes} == attributes
    assert errors.to_json(errors.from_json(errors.to_json(again))) == errors.to_json(again)


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (lambda: Form(age="old"), ValueError),  # type: ignore[arg-type]
        (lambda: b"\xff".decode(), ValueError),
    ],
)
def test_an_error_that_cannot_be_made_again_is_of_the_nearest_class(
    work: Callable[[], Any], kind: type[Exception]
) -> None:
    first = _fails(work)
    again = errors.from_json(errors.to_json(first))
    assert isinstance(again, kind)
    assert str(again) == str(first)


def test_what_is_no_error_is_never_made() -> None:
    for name in ("subprocess.Popen", "os.getcwd", "nowhere.Error", "builtins.SystemExit"):
        again = errors.from_json(json.dumps({"type": name, "message": "m", "args": []}))
        assert isinstance(again, StepFailed)
