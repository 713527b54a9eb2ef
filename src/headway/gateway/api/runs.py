"""Workers and the answers to their runs, as clients read and write them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class WorkerView(Struct):
    """A worker of workflows."""

    name: str
    tenant: str
    """Whose runs it has; empty: only admins see them."""


class WorkerList(Struct):
    """Those whose runs the key may see."""

    workers: list[WorkerView]


class AnswerRequest(Struct, forbid_unknown_fields=True):
    """What a person answers a run."""

    path: str
    """The step that asks."""
    accept: bool
    value: Any = None
    """A choice, or what was edited."""
    why: str = ""
    """Why not."""
