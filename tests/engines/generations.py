"""Requests as clients send them, and small helpers around them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from headway.engines.endpoint import Endpoint
from headway.engines.engine import Generation, Kind


def generation(kind: Kind, **fields: Any) -> Generation:
    """A request of a client with these fields in its body."""
    body = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return Generation(kind, body, model="test")


def chat(text: str, **fields: Any) -> Generation:
    """A greedy chat of one message, unless `fields` say otherwise."""
    messages = [{"role": "user", "content": text}]
    return generation("chat", **({"messages": messages, "temperature": 0} | fields))


def ids_of(done: Generation) -> list[int]:
    """Every token id of a generation."""
    return [token for piece in done.pieces for token in piece.ids]


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> float:
    """Wait until `condition` holds; returns how long it took, in seconds."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < within_s, "it did not happen in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - start_s


def endpoint(url: str, **fields: Any) -> Endpoint:
    """An endpoint called `fake`."""
    return Endpoint("fake", url, **fields)
