"""What is read of an input file, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.batches.batch import LineError
from headway.batches.input_file import ENVELOPE_BYTES, Read, Request, body_of, in_order, read_input

CHAT = "/v1/chat/completions"
MISSING = "missing_required_parameter"


def line(custom_id: str = "a", **changes: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": custom_id}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | changes


def read(path: Path, content: bytes, **limits: int) -> Read:
    path.write_bytes(content)
    limits = {"max_lines": 100, "max_line_bytes": 1000} | limits
    return read_input(path, CHAT, limits["max_lines"], limits["max_line_bytes"])


def jsonl(*lines: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


@pytest.mark.parametrize("content", [
    jsonl(line("a"), line("b")),
    jsonl(line("a"), line("b")).rstrip(b"\n"),
    b"\xef\xbb\xbf" + jsonl(line("a"), line("b")),
    jsonl(line("a"), line("b")).replace(b"\n", b"\r\n"),
    b"\n" + jsonl(line("a")) + b"\n  \n" + jsonl(line("b")) + b"\n",
])  # fmt: skip
def test_lines_are_found_where_they_are(path: Path, content: bytes) -> None:
    found = read(path, content)
    assert (found.errors, found.model) == ([], "m")
    assert [one.custom_id for one in found.requests] == ["a", "b"]
    for one in found.requests:
        body = json.loads(body_of(content[one.at : one.at + one.bytes]))
        assert body == line(one.custom_id)["body"]


@pytest.mark.parametrize(("wrong", "code", "param"), [
    (b'{"custom_id": "b",\n', "invalid_json_line", None),
    (b'["custom_id"]\n', "invalid_value", None),
    (b"\xff\xfe{\x00}\x00\n", "invalid_json_line", None),
    (jsonl({"custom_id": "b", "method": "POST", "url": CHAT}), MISSING, "body"),
    (jsonl(line() | {"custom_id": 7}), "invalid_value", "custom_id"),
    (jsonl(line("")), "invalid_custom_id", "custom_id"),
    (jsonl(line("a")), "duplicate_custom_id", "custom_id"),
    (jsonl(line("b", method="GET")), "invalid_method", "method"),
    (jsonl(line("b", url="/v1/embeddings")), "invalid_url", "url"),
    (jsonl(line("b", body={"model": "other"})), "mismatched_model", "body.model"),
    (jsonl(line("b", body={"model": "m", "stream": True})), "invalid_value", "body.stream"),
    (jsonl(line("b", body={"model": 5})), "invalid_value", "body.model"),
    (jsonl(line("b", body="text")), "invalid_value", "body"),
    (jsonl(line("b", body={"model": "m", "x": "x" * 1000})), "body_too_large", "body"),
    (jsonl(line("b", body={"model": "m", "x": "x" * 9000})), "body_too_large", "body"),
])  # fmt: skip
def test_a_wrong_line_is_named(path: Path, wrong: bytes, code: str, param: str | None) -> None:
    found = read(path, jsonl(line("a")) + wrong + jsonl(line("z")))
    (error,) = found.errors
    assert (error.code, error.line, error.param) == (code, 2, param)
    assert "ine 2" in error.message
    assert [one.custom_id for one in found.requests] == ["a", "z"]


def test_the_message_says_what_to_do(path: Path) -> None:
    found = read(path, jsonl(line("a"), line("b"), line("a")))
    assert found.errors == [
        LineError(
            "duplicate_custom_id",
            "Line 3 has the custom_id 'a' of line 1; give every line its own.",
            3,
            "custom_id",
        )
    ]


def test_a_file_without_requests_and_one_with_too_many(path: Path) -> None:
    assert [one.code for one in read(path, b"\n \n").errors] == ["empty_file"]
    many = jsonl(*(line(str(n)) for n in range(4)))
    (error,) = read(path, many, max_lines=3).errors
    assert (error.code, error.line) == ("too_many_requests", 4)
    assert not read(path, many, max_lines=4).errors


def test_a_file_that_is_one_huge_line_takes_no_memory(path: Path) -> None:
    content = jsonl(line("a")) + b'"' + b"x" * (ENVELOPE_BYTES * 1000) + b"\n" + jsonl(line("b"))
    found = read(path, content)
    assert [(one.line, one.code) for one in found.errors] == [(2, "body_too_large")]
    assert found.requests[1].line == 3


def test_only_so_many_errors_are_reported(path: Path) -> None:
    assert len(read(path, b"x\n" * 5000).errors) == 100


requests = st.lists(
    st.builds(
        Request,
        line=st.integers(1, 10**6),
        at=st.just(0),
        bytes=st.just(1),
        custom_id=st.just("x"),
        prefix=st.integers(1, 4),
        size=st.tuples(st.integers(-9, 50), st.integers(0, 9)),
    ),
    unique_by=lambda one: one.line,
)


@given(requests)
def test_lines_that_share_a_prefix_run_together_and_the_longest_first(asked: list[Request]) -> None:
    ordered = in_order(asked)
    assert sorted(one.line for one in ordered) == sorted(one.line for one in asked)
    groups = [one.prefix for one in ordered]
    changes = sum(a != b for a, b in pairwise(groups))
    assert changes == max(0, len(set(groups)) - 1)
    for prefix in set(groups):
        sizes = [one.size for one in ordered if one.prefix == prefix]
        assert sizes == sorted(sizes, reverse=True)
    if ordered:
        assert ordered[0].size == max(one.size for one in asked)
