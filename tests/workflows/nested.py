"""A workflow in a workflow, with what its tasks did, and when they fail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import headway
from headway.store.owner import Owner
from headway.workflows.journal.rows import Definition, RunRow

calls: list[Any] = []
gates: dict[str, asyncio.Event] = {}
failing = [True]
DEFINITION = Definition("hash", "w", "", "")
OWNER = Owner("elsewhere", 1, "1", "1")


def begin_anew() -> None:
    """Nothing was called, and `sometimes` fails."""
    calls.clear()
    gates.clear()
    failing[0] = True


@headway.task
async def double(number: int) -> int:
    calls.append(number)
    return 2 * number


@headway.task
async def held(number: int) -> int:
    calls.append(number)
    await gates["held"].wait()
    return number


@headway.task
async def sometimes() -> str:
    calls.append("sometimes")
    if failing[0]:
        raise TypeError("not today")
    return "well"


@headway.workflow
async def inner(number: int = 1) -> list[Any]:
    return [await double(number), await sometimes()]


@headway.workflow
async def outer() -> list[Any]:
    first = await double(10)
    return [first, *await inner(), await double(20)]


def message(row: RunRow) -> str:
    return str(json.loads(row.error_json or "{}").get("message"))
