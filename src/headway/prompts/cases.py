"""Test cases of a prompt: values for its variables, and what is expected of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from headway.prompts.errors import PromptError
from headway.prompts.expectations import Expectations, Python, python_in
from headway.prompts.yaml_text import loaded

FILE = "tests.yaml"


class Case(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """One case."""

    name: str
    variables: dict[str, Any] = {}
    expect: Expectations


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    cases: Annotated[list[Case], Meta(min_length=1)]


class Cases(msgspec.Struct, frozen=True):
    """The cases of a prompt, and the functions that they name."""

    cases: list[Case]
    python: dict[str, Python]
    """By the text that names them."""


def read_cases(folder: Path) -> Cases | None:
    """The cases in a prompt's folder; None if it has no file of them.

    Raises:
        PromptError: it cannot be read, or something in it is wrong.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from None
    found = parse_cases(text, str(path))
    return Cases(found, functions_of(found, folder))


def parse_cases(text: str, place: str) -> list[Case]:
    """The cases in the text of a file; the functions that they name are not looked for.

    Args:
        text: of the file.
        place: the file, for errors.

    Raises:
        PromptError: something in it is wrong.
    """
    try:
        found = msgspec.convert(loaded(text, place) or {}, _File)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$.")
        where = at.rstrip("`") or "the file"
        raise PromptError(f"{place}: {where}: {reason[:1].lower()}{reason[1:]}") from None
    for case in found.cases:
        try:
            case.expect.check()
        except PromptError as error:
            raise PromptError(f"{place}: the case {case.name!r}: {error}") from None
    return found.cases


def functions_of(cases: Sequence[Case], folder: Path) -> dict[str, Python]:
    """The functions that cases name, by the text that names them. It runs their files.

    Raises:
        PromptError: there is none of such a name.
    """
    python: dict[str, Python] = {}
    for case in cases:
        name = case.expect.python
        try:
            if name is not None and name not in python:
                python[name] = python_in(folder, name)
        except PromptError as error:
            raise PromptError(f"{folder / FILE}: the case {case.name!r}: {error}") from None
    return python
