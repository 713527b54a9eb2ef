"""Usage of requests with several answers, from an engine that counts each answer by itself."""

from __future__ import annotations

import msgspec
import pytest

from headway.gateway.answers.several import Several


def usage(prompt: int, output: int, **more: int) -> dict[str, msgspec.Raw]:
    counts = {"prompt_tokens": prompt, "completion_tokens": output} | more
    return {name: msgspec.Raw(msgspec.json.encode(count)) for name, count in counts.items()}


def counts(found: dict[str, msgspec.Raw]) -> dict[str, int]:
    return {name: msgspec.json.decode(raw) for name, raw in found.items()}


def several(prompt: object = None, n: int = 1) -> Several:
    return Several(None if prompt is None else msgspec.Raw(msgspec.json.encode(prompt)), n)


@pytest.mark.parametrize(
    ("prompt", "n", "number"),
    [
        (None, 1, 1),
        (None, 3, 3),
        ("one", 2, 2),
        (["one", "two"], 2, 4),
        ([1, 2, 3], 2, 2),
        ([[1, 2], [3]], 1, 2),
        ([], 1, 1),
        ({"strange": 1}, 1, 1),
    ],
)
def test_there_are_n_answers_to_each_prompt(prompt: object, n: int, number: int) -> None:
    assert several(prompt, n).number == number


def test_the_answers_of_a_stream_add_up_and_a_prompt_counts_once() -> None:
    of = several(["a b", "c d e f"], 2)
    found = [of.so_far(usage(*one)) for one in ((2, 8), (2, 5), (4, 8), (4, 1))]
    assert counts(found[-1]) == {
        "prompt_tokens": 6,
        "completion_tokens": 22,
        "total_tokens": 28,
    }


def test_what_a_whole_answer_says_of_the_first_is_scaled_to_all() -> None:
    of = several([[1, 2], [3, 4, 5, 6]])
    found = of.whole(usage(2, 8, other=3), [32, 16], None)
    assert counts(found) == {
        "prompt_tokens": 6,
        "completion_tokens": 12,
        "total_tokens": 18,
        "other": 3,
    }


def test_an_empty_first_answer_counts_as_much_as_each_other() -> None:
    assert counts(several(n=2).whole(usage(5, 1), [0, 16], None))["completion_tokens"] == 2


def test_without_a_report_there_is_nothing_to_scale() -> None:
    assert several(n=2).whole({}, [4, 4], None) == {}


def test_no_more_is_estimated_than_the_answers_may_have() -> None:
    assert counts(several(n=2).whole(usage(5, 8), [32, 36], 8))["completion_tokens"] == 16
