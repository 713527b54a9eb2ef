"""The colour of everything that has a name: the same on every page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

COLOURS = {
    "fcfs": ("#7a8494", "#9aa5b5"),
    "sjf": ("#2563c9", "#6ea3f7"),
    "srpt": ("#0d8a5f", "#3fc493"),
    "ltr": ("#d0459b", "#f58acb"),
    "trail": ("#c22f52", "#f0788f"),
    "edf": ("#7b4a2b", "#c99773"),
    "slack": ("#4b4bb8", "#9a9af5"),
    "hrrn": ("#0c8fa8", "#4cc4dc"),
    "boost": ("#8b46c1", "#bd8cec"),
    "mlfq": ("#8a7a10", "#cdbb4a"),
    "gittins": ("#d9731a", "#f2a05a"),
    "priority": ("#5f9a1f", "#a5d65f"),
    "plas": ("#a8327d", "#e787c4"),
    "atlas": ("#3d6b8e", "#8bb8d9"),
    "urgency": ("#b3541e", "#e8935f"),
    "run-gittins": ("#6b7d2a", "#b7cb6c"),
    "run-fcfs": ("#4f5b66", "#b8c4ce"),
    "oracle": ("#1c2330", "#e7ebf1"),
    "constant": ("#2563c9", "#6ea3f7"),
    "adaptive": ("#0d8a5f", "#3fc493"),
    "optimal": ("#d9731a", "#f2a05a"),
    "front": ("#1c2330", "#e7ebf1"),
    "other": ("#2563c9", "#6ea3f7"),
}
"""By name, on a light page and on a dark one: policies, the oracle, batching policies, the Pareto
front, and `other` for what is not among them, as a server's address."""

DASHES = ("", "9 3", "3 3", "12 3 3 3")
"""Of rows that have the same colour, one after another."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a row is drawn."""

    colour: str
    """A name in COLOURS."""
    dashes: str = ""
    """As in SVG; empty: a solid line."""

    @property
    def css(self) -> str:
        """The class of its colour."""
        return f"c-{self.colour}"


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """The look of each row of a page, by its label.

    The colour is that of the policy that the label begins with; rows of the same policy, as with
    different routings, differ by their dashes.
    """
    found: dict[str, Look] = {}
    seen: dict[str, int] = {}
    for label in labels:
        colour = colour_of(label)
        number = seen[colour] = seen.get(colour, -1) + 1
        if colour in ("oracle", "front"):
            number += 1  # a reference: never solid
        found[label] = Look(colour, DASHES[number % len(DASHES)])
    return found


def colour_of(label: str) -> str:
    """The name in COLOURS of a row."""
    if re.search(r"[+(]oracle\b", label):
        return "oracle"
    name = re.split(r"[^a-z-]", label, maxsplit=1)[0].rstrip("-")
    return name if name in COLOURS else "other"
