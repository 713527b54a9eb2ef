"""Answers against what their cases expect, in a process of its own.

A regular expression may take for ever, and a function of the author's own may do anything: neither
has a place in a gateway's process.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.prompts.cases import Case, functions_of


class ToCheck(msgspec.Struct, frozen=True):
    """One answer."""

    case: Case
    answer: str
    output_tokens: int | None


class Answers(msgspec.Struct, frozen=True):
    """What `headway check-answers` reads."""

    folder: str
    """Of the prompt: functions that cases name are in files there."""
    answers: list[ToCheck]


def failures(asked: Answers) -> list[list[str]]:
    """In what each of the answers fails its case; see `Expectations.failures`.

    Raises:
        PromptError: there is no function of a name in a case.
    """
    python = functions_of([one.case for one in asked.answers], Path(asked.folder))
    return [
        one.case.expect.failures(one.answer, one.output_tokens, one.case.variables, python)
        for one in asked.answers
    ]
