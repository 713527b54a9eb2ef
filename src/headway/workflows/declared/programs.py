"""Programs that steps of pipelines run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Any

from headway.workflows.declared.expressions import written


class CommandFailed(Exception):
    """A program ended with another status than 0."""


async def run_program(said: list[Any], as_json: bool) -> Any:
    """What a program writes to its standard output.

    If this is cancelled, the program ends, with those that it started.

    Args:
        said: the program and its arguments.
        as_json: whether its output is JSON; otherwise it is the text.

    Raises:
        CommandFailed: its status is not 0.
        OSError: it cannot be started.
        ValueError: its output is no JSON.
    """
    program = await asyncio.create_subprocess_exec(
        *map(written, said),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,  # ctrl-C is for the worker, which lets its steps end
    )
    try:
        out, err = await program.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        await program.wait()
        raise
    if program.returncode:
        last = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise CommandFailed(f"{written(said[0])} ended with status {program.returncode}: {last}")
    text = out.decode(errors="replace")
    return json.loads(text) if as_json else text
