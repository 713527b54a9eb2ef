"""The embedded engine: llama.cpp in a child process that is restarted when it dies."""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from headway.child_process import end
from headway.engines.endpoint import Endpoint
from headway.engines.model_file import GgufError, check_gguf
from headway.extras import install_extra
from headway.machine import default_slots, usable_cores

_LOAD_TIMEOUT_S = 600.0
_STOP_TIMEOUT_S = 3.0
_FIRST_BACK_OFF_S = 0.1
_MAX_BACK_OFF_S = 10.0
"""Longest delay between attempts to start an engine that has never loaded."""
_MAX_BACK_OFF_ONCE_READY_S = 1.0
"""Longest delay before restarting an engine that had loaded, as its clients are waiting."""
_SETTLED_S = 3.0
"""A child that served for this long was healthy: its restart is not delayed."""
_TAIL_LINES = 40
_QUANTISATION = re.compile(r"[.-](i?q\d\w*|f16|f32|bf16|mxfp4)$")
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


class EmbeddedServer:
    """Supervises one llama.cpp child process on a loopback port."""

    def __init__(
        self,
        model: Path,
        *,
        name: str = "embedded",
        slots: int | None = None,
        threads: int | None = None,
        context_tokens: int = 4096,
        alias: str | None = None,
    ) -> None:
        """`context_tokens` is per slot. Defaults follow the number of cores and the file name."""
        cores = usable_cores()
        self.name = name
        self.model = model
        self.alias = alias or model_name(model)
        self.slots = slots or default_slots(cores)
        self.threads = threads or cores
        self.context_tokens = context_tokens
        self.restarts = 0
        """Number of restarts after a crash."""
        self.endpoint: Endpoint | None = None
        """Its address; None while it is down."""
        self.error: str | None = None
        """Why it is down; None while it is up."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when it comes up or goes down."""
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: deque[str] = deque(maxlen=_TAIL_LINES)
        self._readers: set[asyncio.Task[None]] = set()
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the child and wait until it is ready. Raises GgufError if that fails."""
        check_gguf(self.model)
        await self._launch()
        self._supervisor = asyncio.create_task(self._supervise(), name=f"supervise {self.name}")

    async def stop(self) -> None:
        """End the child and stop supervising it."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        self.endpoint = None
        self.error = "it was stopped"
        await self._end_child()

    async def _supervise(self) -> None:
        back_off_s = 0.0
        while True:
            ready_s = time.monotonic()
            assert self._process is not None
            status = await self._process.wait()
            self._went_down(f"the embedded engine ended ({_how(status)}){self._tail()}")
            if time.monotonic() - ready_s >= _SETTLED_S:
                back_off_s = 0.0
            back_off_s = min(back_off_s, _MAX_BACK_OFF_ONCE_READY_S)
            while not self.endpoint:
                await asyncio.sleep(back_off_s)
                back_off_s = min(max(2.0 * back_off_s, _FIRST_BACK_OFF_S), _MAX_BACK_OFF_S)
                self.restarts += 1
                try:
                    await self._launch()
                except GgufError as error:
                    self.error = str(error)

    def _went_down(self, error: str) -> None:
        self._process = None
        self.endpoint = None
        self.error = error
        self.on_change()

    async def _launch(self) -> None:
        self._stderr.clear()
        settings = {
            "model": str(self.model),
            "alias": self.alias,
            "slots": self.slots,
            "threads": self.threads,
            "context_tokens": self.context_tokens,
        }
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "headway.engines.llama_child",
                msgspec.json.encode(settings).decode(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise GgufError(
                f"the embedded engine cannot be started ({error}); free memory or processes"
            ) from error
        assert process.stdin and process.stdout and process.stderr
        api_key = secrets.token_urlsafe(32)
        process.stdin.write(f"{api_key}\n".encode())
        reader = asyncio.create_task(self._read_stderr(process.stderr))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        try:
            async with asyncio.timeout(_LOAD_TIMEOUT_S):
                line = await process.stdout.readline()
        except BaseException as error:
            await self._end_child()
            if isinstance(error, TimeoutError):
                raise GgufError(f"{self.model} did not load in {_LOAD_TIMEOUT_S:.0f} s") from None
            raise
        ready = msgspec.json.decode(line, type=_Ready) if line else _Ready()
        if not ready.url:
            await self._end_child()
            await reader
            if not ready.installed:
                raise GgufError(
                    f"the embedded engine does not load ({ready.error}); {_remedy(ready.error)}"
                )
            raise GgufError(
                f"{self.model} cannot be loaded ({ready.error or 'the engine died'}); "
                f"check that it is a whole GGUF file and fits into memory{self._tail()}"
            )
        self.error = None
        self.endpoint = Endpoint(self.name, ready.url, api_key)
        self.on_change()

    async def _end_child(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await end(process, _STOP_TIMEOUT_S)

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            self._stderr.append(line.decode(errors="replace").rstrip())

    def _tail(self) -> str:
        """The child's last lines on standard error, for an error message."""
        lines = [line for line in self._stderr if line]
        return f": {' | '.join(lines[-4:])}" if lines else ""


def model_name(model: Path) -> str:
    """The name that clients use for a model file: its stem in lower case, without quantisation."""
    stem = _SHARD.sub("", model.name.removesuffix(".gguf").lower())
    return _QUANTISATION.sub("", stem) or stem


def _how(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"


class _Ready(msgspec.Struct):
    url: str = ""
    error: str = ""
    installed: bool = True
    """Whether the engine's library was loaded."""


def _remedy(error: str) -> str:
    """What to do about a library that does not load."""
    if "libgomp" in error:  # the wheel expects OpenMP's library on the system
        return "on Debian or Ubuntu, apt install libgomp1"
    return install_extra("serve")
