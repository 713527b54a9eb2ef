"""A gateway as a process: it serves until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine

from headway.gateway.http.descriptors import raise_limit
from headway.gateway.server import Gateway

logger = logging.getLogger(__name__)

GC_ALLOCATIONS = 10_000
"""Allocations between garbage collections of the youngest generation."""
SWITCH_S = 0.0005

Beside = Callable[[Gateway], Coroutine[object, object, None]]
"""Runs beside a gateway from when it listens, its engines may still start, until it stops."""


async def serve(
    gateway: Gateway,
    on_ready: Callable[[Gateway], None] | None = None,
    beside: Beside | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT, then drains; a second signal stops it at once.

    Args:
        gateway: not started yet.
        on_ready: called once the gateway takes requests.
        beside: runs from when clients can connect, and is cancelled at the end.

    Returns:
        Whether all requests could be finished.

    Raises:
        OSError: the port is in use, or the host is not an address of this machine.
        GgufError: an embedded engine cannot load its model.
    """
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[None] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, None)
    interrupted = asyncio.ensure_future(signals.get())
    watching: list[asyncio.Future[None]] = []

    def listening() -> None:
        if beside is not None:
            watching.append(asyncio.ensure_future(beside(gateway)))

    starting = asyncio.ensure_future(gateway.start(listening))
    drained = True
    try:
        await asyncio.wait((starting, interrupted), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
            return True
        starting.result()
        if on_ready is not None:
            on_ready(gateway)
        await interrupted
        logger.info("draining: %d requests in progress", len(gateway.dispatcher.works))
        draining = asyncio.ensure_future(gateway.drain())
        interrupted = asyncio.ensure_future(signals.get())
        await asyncio.wait((draining, interrupted), return_when=asyncio.FIRST_COMPLETED)
        drained = draining.done() and draining.result()
        draining.cancel()
    finally:
        interrupted.cancel()
        for task in watching:
            task.cancel()
        await gateway.stop()
    return drained


def run(
    gateway: Callable[[], Gateway],
    on_ready: Callable[[Gateway], None] | None = None,
    beside: Beside | None = None,
) -> bool:
    """Run `serve` in a new event loop, on uvloop where it exists.

    Args:
        gateway: creates the gateway, inside the loop.
        on_ready: called once the gateway takes requests.
        beside: see `serve`.
    """

    raise_limit()

    async def main() -> bool:
        return await serve(gateway(), ready, beside)

    def ready(started: Gateway) -> None:
        # Objects that exist now live on: scanning them all in a collection costs more than
        # collecting what a thousand requests leave behind.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_ALLOCATIONS, 10, 50)
        # Threads that write logs must not delay the event loop for long.
        sys.setswitchinterval(SWITCH_S)
        if on_ready is not None:
            on_ready(started)

    if sys.platform == "win32":
        return asyncio.run(main())
    import uvloop

    return uvloop.run(main())
