"""Headway and its peers as processes that serve the same model on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from headway.lab.loadtest.server import HeadwayServer
from http_load import answers
from processes import free_port

PEERS = Path(__file__).with_name("peers")
"""Their server scripts, of which install.sh makes the environments."""
READY_WITHIN_S = 60.0
STOPS_WITHIN_S = 8.0
_EMBEDDING = re.compile(rb'"([A-Za-z0-9+/]{1000,}={0,2})"')


@dataclass(frozen=True)
class Tuning:
    """What is tried to have the best of a peer."""

    max_batch_size: int = 32
    wait_ms: int = 5


@dataclass(frozen=True)
class Peer:
    """How one peer is started and asked."""

    path: str
    command: tuple[str, ...]
    """Its program, in the folder of its environment, and arguments."""
    list_of_inputs: bool = False
    """Whether it takes a list where the others take one text."""
    waits: bool = True
    """Whether its batcher has a wait to tune."""


KNOWN = {
    "mosec": Peer("/inference", ("bin/python", "serve_mosec.py")),
    "triton": Peer("/v2/models/encoder/generate", ("bin/python", "serve_triton.py")),
    "litserve": Peer("/predict", ("bin/python", "serve_litserve.py")),
    "bentoml": Peer(
        "/embed",
        ("bin/bentoml", "serve", "serve_bentoml:Model", "--host", "127.0.0.1", "--port", "{port}"),
        list_of_inputs=True,
        waits=False,
    ),
    "ray": Peer("/embed", ("bin/python", "serve_ray.py")),
}
HEADWAY = "headway"
NAMES = (HEADWAY, *KNOWN)


@dataclass(frozen=True)
class Model:
    """What is served, as `served_model.Order` has it."""

    model: str
    """`encoder` or `fake`."""
    folder: Path
    """Of the encoder."""
    graph: Path
    threads: int


@dataclass(frozen=True)
class Target:
    """A server that runs."""

    port: int
    path: str
    body: str
    """A request's body, with `%s` for the text as JSON."""

    def request(self, text: str, tier: str | None = None) -> bytes:
        """The bytes that ask for `text`."""
        body = (self.body % json.dumps(text)).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if tier is not None:
            head += f"x-headway-tier: {tier}\r\n"
        return head.encode() + b"\r\n" + body

    async def vectors(self, texts: list[str]) -> np.ndarray:
        """The embeddings of `texts`, asked for all at once. Raises RuntimeError."""
        found = []
        for answer in await answers(self.port, [self.request(text) for text in texts]):
            match = _EMBEDDING.search(answer)
            if match is None:
                raise RuntimeError(f"there is no embedding in {answer[:300]!r}")
            found.append(np.frombuffer(b64decode(match[1]), "<f4"))
        return np.stack(found)


@contextlib.asynccontextmanager
async def headway(model: Model, **settings: object) -> AsyncIterator[Target]:
    """`headway serve` with its defaults, but for `settings` of the model."""
    if model.model == "fake":
        of_model = {"name": "fake", "path": f"{PEERS / 'served_model.py'}:fake"}
    else:
        of_model = {"name": "encoder", "path": str(model.folder)}
    server = HeadwayServer({"models": [{**of_model, "threads": model.threads, **settings}]})
    async with server:
        if model.model == "fake":
            yield Target(server.port, "/v1/models/fake:predict", '{"instances":[%s]}')
        else:
            body = '{"model":"encoder","input":%s,"encoding_format":"base64"}'
            yield Target(server.port, "/v1/embeddings", body)


@contextlib.asynccontextmanager
async def peer(name: str, folder: Path, model: Model, tuning: Tuning) -> AsyncIterator[Target]:
    """One of KNOWN, from its environment in `folder`.

    Raises:
        RuntimeError: it ended, or does not answer in time; its last words are in the message.
    """
    known = KNOWN[name]
    port = free_port()
    order = {
        "model": model.model,
        "graph": str(model.graph),
        "tokenizer": str(model.folder / "tokenizer.json"),
        "threads": model.threads,
        "port": port,
        **asdict(tuning),
    }
    place = folder / name
    environment = {
        **os.environ,
        "PEER": json.dumps(order),
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(PEERS),
    }
    command = [str(place / known.command[0]), *known.command[1:]]
    log = folder / f"{name}-server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            cwd=PEERS,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    body = '{"input":[%s]}' if known.list_of_inputs else '{"input":%s}'
    target = Target(port, known.path, body)
    try:
        await _until_ready(process, target, log)
        yield target
    finally:
        await asyncio.to_thread(_stop, process)


@contextlib.asynccontextmanager
async def serving(name: str, folder: Path, model: Model, tuning: Tuning) -> AsyncIterator[Target]:
    """Headway with its defaults, or the peer of that name with `tuning`."""
    async with headway(model) if name == HEADWAY else peer(name, folder, model, tuning) as target:
        yield target


def tunings(name: str) -> list[Tuning]:
    """What is tried with `name`, one after the other."""
    first = Tuning()
    waits = (1, 5, 20) if name in KNOWN and KNOWN[name].waits else (first.wait_ms,)
    return [replace(first, wait_ms=wait_ms) for wait_ms in waits]


async def _until_ready(process: subprocess.Popen[bytes], target: Target, log: Path) -> None:
    give_up_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            async with asyncio.timeout(5.0):
                await answers(target.port, [target.request("Is anybody there?")])
            return
        except (OSError, RuntimeError, TimeoutError):
            await asyncio.sleep(0.3)
    last_words = log.read_text(errors="replace")[-500:]
    raise RuntimeError(f"{process.args!r} is not ready; it said: {last_words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and every process that it started."""
    started = _descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid, began in started.items():
        if _began(pid) == began:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> dict[int, str]:
    """Processes that `pid` started, and those that they started, with when they began."""
    parents = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and (fields := _stat(int(place.name))):
            parents[int(place.name)] = int(fields[1])
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        children = [child for child, of in parents.items() if of == parent]
        waiting += children
        found |= {child: _began(child) for child in children}
    return found


def _began(pid: int) -> str:
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    """What /proc says after the name of `pid`; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
