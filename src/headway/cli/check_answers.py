"""`headway check-answers`: what a gateway asks when the console runs the cases of a prompt."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import msgspec

from headway.cli.exit import fail
from headway.cli.priority import give_way
from headway.prompts.checking import Answers, failures
from headway.prompts.errors import PromptError


def check_answers() -> None:
    """Read answers and their cases from standard input, and print in what each fails."""
    give_way()
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Answers)
    try:
        with redirect_stdout(sys.stderr):  # what the author's functions print is no answer
            found = failures(asked)
    except PromptError as error:
        fail("check-answers", error)
    sys.stdout.buffer.write(msgspec.json.encode(found))
