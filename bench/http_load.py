"""A client that costs little: requests made beforehand, and of answers only where they end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

LAST_ANSWERS_S = 30.0
"""How long an open loop waits for its last answers."""


@dataclass
class Measured:
    """What a load measured."""

    seconds: float
    latencies_ms: list[float] = field(default_factory=list, repr=False)
    errors: int = 0
    """Answers other than 200, and requests without one."""

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Latency that so many percent of the answers kept; infinite where there is none."""
        if not self.latencies_ms:
            return float("inf")
        return float(np.percentile(self.latencies_ms, percent))

    def summary(self) -> dict[str, float]:
        """The numbers that are written down."""
        return {
            "per_s": self.per_s,
            "p50_ms": self.percentile_ms(50),
            "p99_ms": self.percentile_ms(99),
            "answers": len(self.latencies_ms),
            "errors": self.errors,
        }


class HttpConnection(asyncio.Protocol):
    """One request at a time; `answered` is called with whether its status is 200."""

    def __init__(self) -> None:
        self.answered: Callable[[bool], None] = lambda ok: None
        self.last = b""
        """The last answer, whole."""
        self._parts = b""
        self._transport: asyncio.Transport | None = None

    def send(self, request: bytes) -> None:
        """Ask."""
        assert self._transport is not None
        self._transport.write(request)

    def close(self) -> None:
        """Ask nothing more."""
        self.answered = lambda ok: None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.answered(False)

    def data_received(self, data: bytes) -> None:
        data = self._parts + data
        if not _is_whole(data):
            self._parts = data
            return
        self.last, self._parts = data, b""
        self.answered(data.startswith(b"HTTP/1.1 200"))


def _is_whole(answer: bytes) -> bool:
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    start = head.find(b"content-length:")
    if start < 0:
        return answer.endswith(b"\r\n0\r\n\r\n")
    length = head[start + 15 :].split(b"\r\n", 1)[0]
    return len(answer) >= end + 4 + int(length)


async def connected(port: int) -> HttpConnection:
    """A connection to a server on this machine."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
    return connection


async def answers(port: int, requests: Sequence[bytes]) -> list[bytes]:
    """The answers to `requests`, each on a connection of its own, all at once.

    Raises:
        RuntimeError: one is not of status 200.
    """
    loop = asyncio.get_running_loop()

    async def one(request: bytes) -> bytes:
        connection = await connected(port)
        done: asyncio.Future[bool] = loop.create_future()

        def answered(ok: bool) -> None:
            if not done.done():
                done.set_result(ok)

        connection.answered = answered
        connection.send(request)
        ok = await done
        connection.close()
        if not ok:
            raise RuntimeError(f"answered with {connection.last[:500]!r}")
        return connection.last

    return await asyncio.gather(*map(one, requests))


async def closed_loop(
    port: int, requests: Sequence[bytes], connections: int, warm_up_s: float, seconds: float
) -> Measured:
    """Keep one of `requests` under way on each connection; counts what ends after the warm-up."""
    loop = asyncio.get_running_loop()
    supply = itertools.cycle(requests)
    measured = Measured(seconds)
    opened = [await connected(port) for _ in range(connections)]
    from_s = loop.time() + warm_up_s
    until_s = from_s + seconds

    def begin(connection: HttpConnection) -> None:
        sent_s = loop.time()

        def answered(ok: bool) -> None:
            nonlocal sent_s
            now_s = loop.time()
            if from_s <= now_s < until_s:
                if ok:
                    measured.latencies_ms.append(1000.0 * (now_s - sent_s))
                else:
                    measured.errors += 1
            sent_s = now_s
            connection.send(next(supply))

        connection.answered = answered
        connection.send(next(supply))

    for connection in opened:
        begin(connection)
    await asyncio.sleep(until_s - loop.time())
    for connection in opened:
        connection.close()
    return measured


async def open_loop(
    port: int,
    requests: Sequence[bytes],
    per_s: float,
    warm_up_s: float,
    seconds: float,
    rng: np.random.Generator,
) -> Measured:
    """Send `requests` in turn as a Poisson process, on as many connections as that takes.

    A request's latency counts from the moment at which it was to be sent.
    """
    loop = asyncio.get_running_loop()
    supply = itertools.cycle(requests)
    measured = Measured(seconds)
    idle: list[HttpConnection] = [await connected(port) for _ in range(64)]
    opened = list(idle)
    start_s = loop.time()
    from_s = start_s + warm_up_s
    until_s = from_s + seconds
    due_s = start_s
    missing = 0
    all_answered = asyncio.Event()

    def ask(connection: HttpConnection, due_s: float) -> None:
        nonlocal missing
        missing += 1

        def answered(ok: bool) -> None:
            nonlocal missing
            missing -= 1
            connection.answered = lambda ok: None
            if from_s <= due_s < until_s:
                if ok:
                    measured.latencies_ms.append(1000.0 * (loop.time() - due_s))
                else:
                    measured.errors += 1
            if ok:
                idle.append(connection)
            if not missing:
                all_answered.set()

        connection.answered = answered
        connection.send(next(supply))

    while due_s < until_s:
        if not idle:
            opened.append(await connected(port))
            idle.append(opened[-1])
        ask(idle.pop(), due_s)
        due_s += rng.exponential(1.0 / per_s)
        if due_s > loop.time():
            await asyncio.sleep(due_s - loop.time())
    if missing:
        all_answered.clear()
        try:
            await asyncio.wait_for(all_answered.wait(), LAST_ANSWERS_S)
        except TimeoutError:
            measured.errors += missing
    for connection in opened:
        connection.close()
    return measured
