"""`headway serve` as a child process, for as long as a measurement takes."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from headway.lab.loadtest.client import ServerError

READY_WITHIN_S = 600.0
"""Long, as the first start fetches the model."""
STOPS_WITHIN_S = 10.0
_PR_SET_PDEATHSIG = 1
KEPT_VARIABLES = frozenset({"HEADWAY_DATA", "HEADWAY_CACHE"})
"""Other HEADWAY_ variables are settings, and would override those of the measurement."""


class HeadwayServer:
    """A gateway on a free loopback port; `async with` starts and stops it.

    Args:
        settings: as in headway.yaml; the port is chosen here, and no request log is written
            unless `settings` asks for one.

    Raises (on entering):
        ServerError: it ended or was not ready in time; the message has its last words.
    """

    def __init__(self, settings: Mapping[str, object]) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._settings = {
            "log": {"level": "warning", "requests_db": None},
            **settings,
            "host": "127.0.0.1",
            "port": self.port,
        }
        self._folder = tempfile.TemporaryDirectory(prefix="headway-bench-")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the gateway."""
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    @property
    def log(self) -> str:
        """What it printed so far."""
        return (Path(self._folder.name) / "log").read_text(encoding="utf-8", errors="replace")

    async def __aenter__(self) -> Self:
        config = Path(self._folder.name) / "headway.yaml"
        config.write_text(json.dumps(self._settings), encoding="utf-8")  # JSON is YAML, too
        with (Path(self._folder.name) / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from headway.cli import main; main()",
                "serve",
                "--config",
                str(config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        try:
            await self._until_ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _until_ready(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + READY_WITHIN_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0)) as session:
            while time.monotonic() < deadline_s:
                if self._process.returncode is not None:
                    raise ServerError(f"headway serve ended at its start: {self._last_words()}")
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/readyz") as response:
                        if response.status == 200:
                            return
                except (aiohttp.ClientError, OSError, TimeoutError):
                    pass
                await asyncio.sleep(0.1)
        raise ServerError(
            f"headway serve was not ready after {READY_WITHIN_S:g} s: {self._last_words()}"
        )

    async def _stop(self) -> None:
        """Stop it; the second SIGTERM does not wait for running requests."""
        process = self._process
        if process is not None:
            for order in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
                if process.returncode is not None:
                    break
                process.send_signal(order)
                try:
                    async with asyncio.timeout(STOPS_WITHIN_S):
                        await process.wait()
                except TimeoutError:
                    continue
        self._folder.cleanup()

    def _last_words(self) -> str:
        lines = self.log.strip().splitlines()
        return lines[-1] if lines else "it printed nothing"


def _end_with_parent() -> None:
    """Runs in the child: a measurement that is killed leaves no engine behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HEADWAY_") or name in KEPT_VARIABLES
    }
