"""Asks the request log in a process of its own, so that no question delays what is served.

A thread would take the interpreter from the event loop for every row that it reads.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sqlite3
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

from headway.store.history.child import HEADER
from headway.store.history.log_file import HistoryError

Result = TypeVar("Result")
IDLE_S = 300.0
"""How long the process waits for a question."""
START_S = 30.0
"""How long it may take to start, on a machine that is busy."""


class TookTooLong(HistoryError):
    """A question was given up: it would have taken too long."""


class HistoryReader:
    """Asks a request log, one question at a time.

    Readers do not wait for the log's writer, nor it for them. The process begins with the first
    question and ends when nobody has asked for a while. A question that takes too long, or whose
    client is gone, ends with its process.

    Args:
        path: the log's file.
        limit_s: how long a question may take.
        idle_s: how long the process waits for the next one.
    """

    def __init__(self, path: Path, limit_s: float = 5.0, idle_s: float = IDLE_S) -> None:
        self._path = path
        self._limit_s = limit_s
        self._idle_s = idle_s
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The process that answers; None: there is none now."""
        return None if self._process is None else self._process.pid

    async def ask(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `question` returns; it runs in the reader's process, so it has to be picklable.

        Raises:
            TookTooLong: it was given up.
            HistoryError: there is no log, or it cannot be read.
        """
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                process = await self._started()
                async with asyncio.timeout(self._limit_s):
                    answer = await _answer(process, question)
            except TimeoutError:
                await self._end()
                raise TookTooLong(
                    f"the request log did not answer within {self._limit_s:g} s; ask for a "
                    "shorter time, or for less"
                ) from None
            except (OSError, asyncio.IncompleteReadError):
                await self._end()
                raise HistoryError(
                    f"the process that reads the request log {self._path} died; ask again, and "
                    "see the gateway's log"
                ) from None
            except asyncio.CancelledError:
                await self._end()
                raise
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._rest)
        if isinstance(answer, Exception):
            raise answer
        return cast(Result, answer)

    async def close(self) -> None:
        """End the process; nothing may be asked any more. A second call does nothing."""
        if self._idle is not None:
            self._idle.cancel()
        async with self._turn:
            await self._end()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "headway.store.history.child", str(self._path)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            async with asyncio.timeout(START_S):
                await _read(self._process)  # it is ready
        return self._process

    def _rest(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()  # so it ends

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()  # it only reads
            await process.wait()


async def _answer(process: asyncio.subprocess.Process, question: object) -> object:
    assert process.stdin is not None
    asked = pickle.dumps(question, protocol=5)
    process.stdin.write(HEADER.pack(len(asked)) + asked)
    await process.stdin.drain()
    return await _read(process)


async def _read(process: asyncio.subprocess.Process) -> object:
    assert process.stdout is not None
    (size,) = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
    return pickle.loads(await process.stdout.readexactly(size))
