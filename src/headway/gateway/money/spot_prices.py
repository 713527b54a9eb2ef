"""Prices of an hour that commands print, again and again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress
from dataclasses import replace

from headway.gateway.money.pricing import Pricing
from headway.prices.table import Prices, SpotCommand
from headway.prices.tokens import PriceError, checked_price

logger = logging.getLogger(__name__)

MOST_OUTPUT_BYTES = 4096
END_S = 2.0
"""How long a killed command may take to end."""


class SpotPrices:
    """Keeps the prices of hours as their commands print them.

    Where a command fails, prints no price or hangs, the last price stays, with a line in the log.

    Args:
        pricing: gets the prices, whenever one of them changes.
        prices: as the operator wrote them.
    """

    def __init__(self, pricing: Pricing, prices: Prices) -> None:
        self._pricing = pricing
        self._prices = prices
        self._printed: dict[str, float] = {}
        """The last price of each backend."""
        self._tasks: dict[str, tuple[SpotCommand, asyncio.Task[None]]] = {}

    def start(self) -> None:
        """Run the commands from now on."""
        self.use(self._prices)

    def use(self, prices: Prices) -> None:
        """These are the operator's prices from now on; a command that stays keeps its price."""
        self._prices = prices
        commands = {
            name: backend.spot
            for name, backend in prices.backends.items()
            if backend.spot is not None
        }
        for name, (command, task) in list(self._tasks.items()):
            if commands.get(name) != command:
                task.cancel()
                del self._tasks[name]
                self._printed.pop(name, None)
        for name, command in commands.items():
            if name not in self._tasks:
                self._tasks[name] = (command, asyncio.ensure_future(self._follow(name, command)))
        self._pass_on()

    async def close(self) -> None:
        """Stop all commands."""
        tasks = [task for _, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _pass_on(self) -> None:
        backends = dict(self._prices.backends)
        for name, price in self._printed.items():
            there = backends[name]
            if there.hourly is not None:
                backends[name] = replace(there, hourly=replace(there.hourly, hour=price))
        self._pricing.use(replace(self._prices, backends=backends))

    async def _follow(self, backend: str, command: SpotCommand) -> None:
        failed = False
        while True:
            try:
                price = await printed_price(command.command, command.limit_s)
            except PriceError as error:
                if not failed:
                    known = self._printed.get(backend)
                    logger.warning(
                        "the price of backend %s stays %s: %s",
                        backend,
                        "as it was" if known is None else f"{known:g} an hour",
                        error,
                    )
                failed = True
            else:
                if failed or self._printed.get(backend) != price:
                    logger.info("backend %s costs %g an hour now", backend, price)
                failed = False
                self._printed[backend] = price
                self._pass_on()
            await asyncio.sleep(command.every_s)


async def printed_price(command: str, limit_s: float) -> float:
    """The price that a command prints.

    Raises:
        PriceError: it fails, takes longer than `limit_s`, or prints something else.
    """
    process = await asyncio.create_subprocess_shell(
        command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(limit_s):
            output = b""
            while len(output) < MOST_OUTPUT_BYTES:
                part = await process.stdout.read(MOST_OUTPUT_BYTES)
                if not part:
                    break
                output += part
            else:
                raise PriceError("its command prints more than a price")
            status = await process.wait()
    except TimeoutError:
        raise PriceError(f"its command took longer than {limit_s:g} s") from None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
        await _end(process, process.stdout)
    if status != 0:
        raise PriceError(f"its command ended with status {status}")
    text = output.decode(errors="replace").strip()
    try:
        price = checked_price(float(text), "it")
    except ValueError:
        raise PriceError(f"its command printed {text[:40]!r}, which is no price") from None
    assert price is not None
    return price


async def _end(process: asyncio.subprocess.Process, output: asyncio.StreamReader) -> None:
    """Wait until a killed process is gone. While output is left unread, asyncio may not notice."""
    with suppress(TimeoutError):  # something that has left its session may hold the pipe open
        async with asyncio.timeout(END_S):
            while await output.read(MOST_OUTPUT_BYTES):
                pass
            await process.wait()
