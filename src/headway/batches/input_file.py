"""Reads the file of a batch: one request a line, and every error with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import msgspec

from headway.batches.batch import LineError

PROMPT_FIELDS = {
    "/v1/chat/completions": "messages",
    "/v1/completions": "prompt",
    "/v1/embeddings": "input",
    "/v1/rerank": "query",
}
"""The endpoints that lines may go to, and the field that holds the prompt of each."""
MOST_ERRORS = 100
"""Errors that are reported of one file."""
LONGEST_ID = 512
PREFIX_BYTES = 512
"""First bytes of a prompt that lines have in common where a prefix cache helps."""
ENVELOPE_BYTES = 4096
"""How much longer a line may be than its body."""
BOM = b"\xef\xbb\xbf"
DEFAULT_MODEL = "default"


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(msgspec.Struct):
    model: str = DEFAULT_MODEL
    stream: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    messages: msgspec.Raw = msgspec.Raw(b"")
    prompt: msgspec.Raw = msgspec.Raw(b"")
    input: msgspec.Raw = msgspec.Raw(b"")
    query: msgspec.Raw = msgspec.Raw(b"")


class _OnlyBody(msgspec.Struct):
    body: msgspec.Raw


_line = msgspec.json.Decoder(_Line)
_body = msgspec.json.Decoder(_Body)
_only_body = msgspec.json.Decoder(_OnlyBody)


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the input: where it is, and what decides its place in the order."""

    line: int
    """Counted from 1."""
    at: int
    """Where it begins in the file, in bytes."""
    bytes: int
    custom_id: str
    prefix: int
    """Hash of the first part of its prompt."""
    size: tuple[int, int]
    """How long its answer may be (the limit that it sets), then the bytes of its prompt."""


@dataclass(frozen=True, slots=True)
class Read:
    """What is in a file."""

    requests: list[Request]
    model: str
    errors: list[LineError]
    """Empty: the batch can run."""


class _Wrong(Exception):
    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def read_input(path: Path, endpoint: str, max_lines: int, max_line_bytes: int) -> Read:
    """Read the whole file at `path`, line by line; only what `Request` holds stays in memory.

    A byte order mark, lines that end with CRLF and empty lines are accepted.

    Args:
        path: the file.
        endpoint: that every line must name.
        max_lines: more are an error.
        max_line_bytes: a longer body is an error of its line.

    Raises:
        OSError: the file cannot be read.
    """
    requests: list[Request] = []
    errors: list[LineError] = []
    first: dict[str, int] = {}
    model = ""
    with path.open("rb") as file:
        for line, at, text in lines_of(file, max_line_bytes + ENVELOPE_BYTES):
            if len(requests) >= max_lines:
                errors.append(
                    LineError(
                        "too_many_requests",
                        f"The file has more than {max_lines} requests; split it into several "
                        "batches.",
                        line,
                    )
                )
                break
            try:
                request, named = _request(line, at, text, endpoint, max_line_bytes)
                before = first.setdefault(request.custom_id, line)
                if before != line:
                    raise _Wrong(
                        "duplicate_custom_id",
                        f"Line {line} has the custom_id {request.custom_id[:100]!r} of line "
                        f"{before}; give every line its own.",
                        "custom_id",
                    )
                model = model or named
                if named != model:
                    raise _Wrong(
                        "mismatched_model",
                        f"Line {line} is for model {named[:100]!r} and an earlier one for "
                        f"{model[:100]!r}; make one batch for each model.",
                        "body.model",
                    )
            except _Wrong as wrong:
                errors.append(LineError(wrong.code, str(wrong), line, wrong.param))
                if len(errors) >= MOST_ERRORS:
                    break
            else:
                requests.append(request)
    if not requests and not errors:
        errors.append(LineError("empty_file", "The file has no requests; write one a line."))
    return Read(requests, model or DEFAULT_MODEL, errors)


def body_of(line: bytes) -> bytes:
    """The body of the request in a line that `read_input` found right."""
    return bytes(_only_body.decode(line).body)


def in_order(requests: list[Request]) -> list[Request]:
    """The order in which lines run: those that share a prefix together, the longest first.

    The group that holds the longest line is first, and in each group the longest line. So prefix
    caches serve a group while it is warm, and what is left at the end is short: no long line that
    began last keeps the batch waiting.
    """
    longest: dict[int, tuple[int, int]] = {}
    for one in requests:
        longest[one.prefix] = max(one.size, longest.get(one.prefix, one.size))

    def place(one: Request) -> tuple[int, int, int, int, int, int]:
        group = longest[one.prefix]
        return (-group[0], -group[1], one.prefix, -one.size[0], -one.size[1], one.line)

    return sorted(requests, key=place)


def lines_of(file: BinaryIO, most_bytes: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Number, place and text of each line that is not empty; None for one that is too long."""
    at = len(BOM) if file.read(len(BOM)) == BOM else 0
    file.seek(at)
    line = 0
    while text := file.readline(most_bytes + 1):
        line += 1
        size = len(text)
        if size > most_bytes and not text.endswith(b"\n"):
            while more := file.readline(most_bytes):
                size += len(more)
                if more.endswith(b"\n"):
                    break
            yield line, at, None
        elif not text.isspace():
            yield line, at, text
        at += size


def _request(
    line: int, at: int, text: bytes | None, endpoint: str, max_line_bytes: int
) -> tuple[Request, str]:
    """One line and the model that it names. Raises _Wrong."""
    if text is None:
        raise _too_long(line, max_line_bytes)
    try:
        given = _line.decode(text)
        text.decode()
    except msgspec.ValidationError as error:
        raise _invalid(line, error, "") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Wrong(
            "invalid_json_line", f"Line {line} is not a JSON object in UTF-8: {error}."
        ) from None
    if not 1 <= len(given.custom_id) <= LONGEST_ID:
        raise _Wrong(
            "invalid_custom_id",
            f"The custom_id of line {line} must have 1 to {LONGEST_ID} characters.",
            "custom_id",
        )
    if given.method != "POST":
        raise _Wrong(
            "invalid_method",
            f"The method of line {line} is {given.method[:20]!r}; it must be POST.",
            "method",
        )
    if given.url != endpoint:
        raise _Wrong(
            "invalid_url",
            f"The url of line {line} is {given.url[:100]!r}; the batch is for {endpoint}.",
            "url",
        )
    if len(memoryview(given.body)) > max_line_bytes:
        raise _too_long(line, max_line_bytes)
    try:
        body = _body.decode(given.body)
    except msgspec.ValidationError as error:
        raise _invalid(line, error, "body") from None
    if body.stream:
        raise _Wrong(
            "invalid_value",
            f"Line {line} has stream: true; a batch has no streams, so leave it out.",
            "body.stream",
        )
    prompt = memoryview(getattr(body, PROMPT_FIELDS[endpoint]))
    limit = body.max_completion_tokens or body.max_tokens or 0
    size = (limit, len(prompt))
    prefix = crc32(prompt[:PREFIX_BYTES])
    return Request(line, at, len(text), given.custom_id, prefix, size), body.model


def _too_long(line: int, most_bytes: int) -> _Wrong:
    return _Wrong(
        "body_too_large",
        f"The body of line {line} is larger than {most_bytes} bytes; shorten it.",
        "body",
    )


def _invalid(line: int, error: msgspec.ValidationError, within: str) -> _Wrong:
    reason, _, at = str(error).partition(" - at `$")
    param = at.rstrip("`").lstrip(".")
    if not param and "field `" in reason:
        param = reason.split("field `")[1].rstrip("`")
    code = "missing_required_parameter" if "missing required" in reason else "invalid_value"
    param = ".".join(part for part in (within, param) if part)
    return _Wrong(code, f"Line {line}: {reason[:1].lower()}{reason[1:]}.", param or None)
