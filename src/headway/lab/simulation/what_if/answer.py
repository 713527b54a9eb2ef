"""An answer: the answer first, what it rests on, and the evidence."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headway.lab.simulation.what_if.groups import Group


class Table(msgspec.Struct, frozen=True):
    """Text in rows, each named by its first cell."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    meanings: dict[str, str]
    """Of headings."""
    marks: dict[str, str] = {}
    """What is said of a row, by its name."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What another setting would have done."""

    answer: Sequence[str]
    """One or two sentences."""
    doubts: Sequence[str]
    """Why it says little."""
    notes: Sequence[str]
    """What it rests on."""
    table: Table
    groups: Sequence[Group] = ()
    """Who would be served better or worse by what `answer` names."""
    now: str
    """The policy that runs now."""
    policy: str = ""
    """To switch to; empty: none, or it takes more than a switch."""
    command: str
    """For a shell: the same question."""
    serve: str = ""
    """For a shell: serves as was found; empty: there is nothing to change."""
