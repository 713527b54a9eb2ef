"""Runs a `headway` command beside the gateway, in a process that holds one core at most."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

T = TypeVar("T")

MOST_LINE_BYTES = 16 * 1024 * 1024
"""Of what a command prints."""


class CommandFailed(Exception):
    """A command printed no answer; the message is the last line of its errors."""


async def _unheard(line: bytes) -> None:
    """Nobody listens."""


async def answer_of(
    words: Sequence[str],
    of_type: type[T],
    limit_s: float,
    stdin: bytes = b"",
    heard: Callable[[bytes], Awaitable[None]] = _unheard,
) -> T:
    """Run `headway` with these words, and return the last line that it prints, as JSON.

    It is killed if it takes too long, or if this task is cancelled.

    Args:
        words: the command and its options.
        of_type: of the answer.
        limit_s: how long it may take.
        stdin: what it reads.
        heard: gets each line as it comes.

    Raises:
        TimeoutError: it took longer than `limit_s`.
        CommandFailed: it printed no such answer.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from headway.cli import main; main()", *words),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=MOST_LINE_BYTES,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        async with asyncio.timeout(limit_s):
            out, errors = await _spoken(process, stdin, heard)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    try:
        return msgspec.json.decode(out, type=of_type)
    except msgspec.DecodeError:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it printed nothing"]
        raise CommandFailed(lines[-1]) from None


async def _spoken(
    process: Process, stdin: bytes, heard: Callable[[bytes], Awaitable[None]]
) -> tuple[bytes, bytes]:
    """The last line that it prints, and its errors."""
    to, out, errors = process.stdin, process.stdout, process.stderr
    assert to is not None and out is not None and errors is not None

    async def last() -> bytes:
        line = b""
        async for line in out:
            await heard(line)
        return line

    async def ask() -> None:
        with suppress(ConnectionError):  # it ended before it had read all
            to.write(stdin)
            await to.drain()
        to.close()

    printed, complaints, _, _ = await asyncio.gather(last(), errors.read(), ask(), process.wait())
    return printed, complaints
