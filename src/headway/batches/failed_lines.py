"""The lines of a batch that failed, with their errors, for people."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec


class FailedLine(NamedTuple):
    """A request that failed."""

    custom_id: str
    status: int | None
    """That it was answered with; None: it never ran."""
    code: str
    message: str


class _Error(msgspec.Struct, frozen=True):
    code: str | None = None
    message: str | None = None


class _Body(msgspec.Struct):
    error: _Error = _Error()


class _Response(msgspec.Struct):
    status_code: int
    body: msgspec.Raw


class _Line(msgspec.Struct):
    custom_id: str
    response: _Response | None
    error: _Error | None


_line = msgspec.json.Decoder(_Line)
_body = msgspec.json.Decoder(_Body)


def read_failed(errors: Path, most: int) -> list[FailedLine]:
    """The first lines of an error file. Raises OSError. For a thread."""
    with errors.open("rb") as lines:
        return parsed(islice(lines, most))


def parsed(lines: Iterable[bytes]) -> list[FailedLine]:
    """Lines of an error file."""
    return [_failed(_line.decode(line)) for line in lines]


def _failed(line: _Line) -> FailedLine:
    error, status = line.error or _Error(), None
    if line.response is not None:
        status = line.response.status_code
        try:
            error = _body.decode(line.response.body).error
        except msgspec.ValidationError:  # a backend's own words
            error = _Error(message=bytes(line.response.body).decode(errors="replace"))
    return FailedLine(line.custom_id, status, error.code or "", error.message or "")
