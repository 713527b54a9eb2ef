"""One worker process, as its parent sees it: it holds a model and answers one batch at a time."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from headway.batching.driver import WorkerLost
from headway.child_process import end
from headway.models.child import HEADER, Answer, LoadRequest
from headway.models.signature import BadItem, ModelFailure, Signature
from headway.models.source import ModelSource

THREADS_OF = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""Variables that libraries read for their number of threads, torch among them."""
LOAD_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 3.0
STDERR_TIMEOUT_S = 1.0
"""How long to read standard error after the end: a child that inherited it may keep it open."""
BUFFER_BYTES = 16 * 1024 * 1024
STDERR_BYTES = 4096
"""How much of its standard error to keep."""
TAIL_LINES = 4
"""How many lines of its standard error to report when it dies."""


class Worker:
    """A child process with one instance of a model.

    Messages are pickled: the child runs the operator's own code, and bytes that a client sent are
    never unpickled.
    """

    def __init__(self, source: ModelSource, threads: int) -> None:
        self._load_request = LoadRequest(source, threads)
        self._process: asyncio.subprocess.Process | None = None
        self._stderr = b""
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None if it does not run."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> Signature:
        """Start the process and wait until the model is loaded.

        Raises:
            ModelFailure: the model cannot be loaded.
        """
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "headway.models.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=BUFFER_BYTES,
                env={**os.environ, **dict.fromkeys(THREADS_OF, str(self._load_request.threads))},
            )
        except OSError as error:
            raise ModelFailure(
                f"a worker process cannot be started ({error}); free memory or processes"
            ) from error
        assert process.stderr is not None
        self._reading = asyncio.create_task(self._read_stderr(process.stderr))
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                answer = await self._ask(self._load_request)
        except TimeoutError:
            await self.stop()
            raise ModelFailure(f"it did not load in {LOAD_TIMEOUT_S:.0f} s") from None
        except WorkerLost:
            await self.stop()
            raise ModelFailure(f"its worker process died while loading{self._tail()}") from None
        except BaseException:
            await self.stop()
            raise
        if answer.error:
            await self.stop()
            raise ModelFailure(answer.error)
        signature: Signature = answer.value
        return signature

    async def run(self, items: Sequence[Any]) -> Sequence[Any]:
        """Run a batch and return the results.

        Raises:
            WorkerLost: the process died; this worker cannot be used again.
            BadItem: the batch holds an item that the model does not take.
            ModelFailure: the model raised an exception.
        """
        answer = await self._ask(items)
        if answer.error:
            raise (BadItem if answer.bad_item else ModelFailure)(answer.error)
        results: Sequence[Any] = answer.value
        return results

    async def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        await end(process, STOP_TIMEOUT_S)
        if self._reading is not None:
            await asyncio.wait((self._reading,), timeout=STDERR_TIMEOUT_S)
            self._reading.cancel()

    def kill(self) -> None:
        """Kill the process at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _ask(self, message: object) -> Answer:
        process = self._process
        if process is None:
            raise WorkerLost("the worker process is gone")
        assert process.stdin is not None and process.stdout is not None
        sent = pickle.dumps(message, protocol=5)
        try:
            process.stdin.write(HEADER.pack(len(sent)) + sent)
            await process.stdin.drain()
            (size,) = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
            answer: Answer = pickle.loads(await process.stdout.readexactly(size))
        except (OSError, asyncio.IncompleteReadError):
            raise WorkerLost(f"the worker process died{self._tail()}") from None
        except asyncio.CancelledError:
            # Its answer would be read as that of the next batch.
            self.kill()
            raise
        return answer

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        # Not line by line: progress bars do not end lines.
        while read := await stderr.read(STDERR_BYTES):
            self._stderr = (self._stderr + read)[-STDERR_BYTES:]

    def _tail(self) -> str:
        lines = self._stderr.decode(errors="replace").splitlines()
        written = [line.strip() for line in lines if line.strip()]
        return f": {' | '.join(written[-TAIL_LINES:])}" if written else ""
