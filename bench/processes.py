"""A fake backend and a gateway, each in a process of its own, for benchmarks."""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headway.gateway.http.descriptors import raise_limit

FAKE_BACKEND = Path(__file__).parents[1] / "tests" / "gateway" / "fake_backend.py"
PASSTHROUGH = Path(__file__).with_name("passthrough.py")
START_S = 60.0


@dataclass(frozen=True)
class Server:
    """A started server."""

    url: str
    pid: int

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def cpu_s(self) -> float:
        """CPU time used so far by the process, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the process now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def allow_files(most: int, parser: argparse.ArgumentParser) -> None:
    """Let this process open so many files; a usage error where the system does not."""
    raise_limit()
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < most:
        parser.error(f"needs {most} file descriptors: raise `ulimit -n`")


@contextmanager
def fake_backend(*options: str) -> Iterator[Server]:
    """A backend that answers everything at once with a hundred tokens."""
    port = free_port()
    command = [sys.executable, str(FAKE_BACKEND), str(port), *options]
    with _running(command, f"http://127.0.0.1:{port}", "/health") as server:
        yield server


@contextmanager
def passthrough(backend: Server) -> Iterator[Server]:
    """A bare aiohttp proxy in front of `backend`."""
    port = free_port()
    command = [sys.executable, str(PASSTHROUGH), str(port), backend.url]
    with _running(command, f"http://127.0.0.1:{port}", "/health") as server:
        yield server


@contextmanager
def gateway(backend: Server | None, folder: Path, slots: int, *options: str) -> Iterator[Server]:
    """`headway serve` with its defaults in front of `backend`; logs go to `folder`.

    Without a backend it has its embedded engine, with so many slots.
    """
    port = free_port()
    headway = Path(sys.executable).with_name("headway")
    command = [str(headway), "serve", "--port", str(port)]
    if backend is None:
        command += ["--set", f"slots={slots}"]
    else:
        command += ["--backend", backend.url, "--max-concurrency", str(slots)]
    command += ["--set", f"log.requests_db={folder / 'requests.db'}", *options]
    log = folder / "gateway.log"
    with _running(command, f"http://127.0.0.1:{port}", "/readyz", log) as server:
        yield server


@contextmanager
def _running(command: list[str], url: str, path: str, log: Path | None = None) -> Iterator[Server]:
    with log.open("wb") if log else open(os.devnull, "wb") as output:  # noqa: PTH123
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _wait_for(url + path, process)
            yield Server(url, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {START_S:g} s")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
