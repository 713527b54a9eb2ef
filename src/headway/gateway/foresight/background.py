"""Runs a `headway` command beside the gateway, in a process that holds one core at most."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

T = TypeVar("T")


class CommandFailed(Exception):
    """A command printed no answer; the message is the last line of its errors."""


async def answer_of(
    words: Sequence[str], of_type: type[T], limit_s: float, stdin: bytes = b""
) -> T:
    """Run `headway` with these words, and return what it prints as JSON.

    It is killed if it takes too long, or if this task is cancelled.

    Args:
        words: the command and its options.
        of_type: of the answer.
        limit_s: how long it may take.
        stdin: what it reads.

    Raises:
        TimeoutError: it took longer than `limit_s`.
        CommandFailed: it printed no such answer.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from headway.cli import main; main()", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        async with asyncio.timeout(limit_s):
            out, errors = await process.communicate(stdin)
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
