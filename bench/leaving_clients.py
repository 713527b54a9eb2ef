"""Clients of a stream that leave: before the first byte, in the middle, half or with a reset."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import time
from dataclasses import dataclass
from typing import Literal

Leave = Literal["stays", "early", "in mid-stream", "half-closed", "reset"]
WAYS: tuple[Leave, ...] = ("early", "in mid-stream", "half-closed", "reset")


@dataclass(frozen=True)
class Visit:
    """One client from its request to its end."""

    at_s: float
    """When it came, by time.monotonic."""
    leave: Leave
    latency_s: float
    outcome: str
    """`answered`, `left`, or what went wrong."""


async def visit(
    port: int, body: dict[str, object], leave: Leave, patience_s: float, limit_s: float
) -> Visit:
    """Ask for a stream at a loopback port, and leave as `leave` says.

    Args:
        port: of the gateway.
        body: the chat completion to ask for, `stream` included.
        leave: how; a client that leaves before the first byte does so after `patience_s`.
        patience_s: see `leave`.
        limit_s: after so long a client that stays counts as hanging.
    """
    at_s = time.monotonic()
    outcome = "hung"
    try:
        async with asyncio.timeout(limit_s):
            outcome = await _visit(port, body, leave, patience_s)
    except TimeoutError:
        pass
    except OSError as error:
        outcome = "left" if leave != "stays" else f"connection: {error}"
    return Visit(at_s, leave, time.monotonic() - at_s, outcome)


async def _visit(port: int, body: dict[str, object], leave: Leave, patience_s: float) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        data = json.dumps(body).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:{port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        if leave == "half-closed":
            writer.write_eof()
        begun = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        if leave == "early":
            done, _ = await asyncio.wait((begun,), timeout=patience_s)
            if not done:
                begun.cancel()
                return "left"
        try:
            status = (await begun).split(b" ", 2)[1].decode()
        except asyncio.IncompleteReadError:
            return "left" if leave == "half-closed" else "closed before the answer"
        if status != "200":
            return status
        return await _read_on(reader, writer, leave)
    finally:
        writer.close()


async def _read_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, leave: Leave) -> str:
    rest, events = b"", 0
    leaves_after = random.randint(1, 8)
    while b"[DONE]" not in rest:
        block = await reader.read(65536)
        if not block:
            return "left" if leave == "half-closed" else "the stream broke off"
        events += block.count(b"data:")
        rest = rest[-16:] + block
        if b'"error"' in block:
            return "an error in the stream"
        if events >= leaves_after and leave == "in mid-stream":
            return "left"
        if events >= leaves_after and leave == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return "left"
    return "answered"
