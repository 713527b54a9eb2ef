"""Prices that commands print."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest
from tests.gateway.conftest import until

from headway.gateway.money.pricing import Pricing
from headway.gateway.money.spot_prices import SpotPrices, printed_price
from headway.prices.hours import HourlyPrice
from headway.prices.table import BackendPrice, Prices, SpotCommand
from headway.prices.tokens import PriceError


def prices_of(command: str, hour: float | None = None, limit_s: float = 10.0) -> Prices:
    spot = SpotCommand(command, every_s=0.02, limit_s=limit_s)
    return Prices(backends={"gpu": BackendPrice(hourly=HourlyPrice(hour), spot=spot)})


def hour(pricing: Pricing) -> float | None:
    price = pricing.prices.of("gpu", "m")
    assert isinstance(price, HourlyPrice)
    return price.hour


async def test_the_price_follows_the_command(tmp_path: Path) -> None:
    file = tmp_path / "price"
    file.write_text("1.25")
    pricing = Pricing(Prices(), asyncio.get_running_loop().time)
    spot = SpotPrices(pricing, prices_of(f"cat {file}", hour=9.0))
    spot.start()
    assert hour(pricing) == 9.0  # until it first printed one
    await until(lambda: hour(pricing) == 1.25)
    file.write_text("2.5\n")
    await until(lambda: hour(pricing) == 2.5)
    await spot.close()


async def test_where_the_command_fails_the_last_price_stays_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, tries = tmp_path / "price", tmp_path / "tries"
    file.write_text("1.25")
    pricing = Pricing(Prices(), asyncio.get_running_loop().time)
    spot = SpotPrices(pricing, prices_of(f"echo >> {tries}; cat {file}"))
    with caplog.at_level(logging.WARNING):
        spot.start()
        await until(lambda: hour(pricing) == 1.25)
        file.unlink()
        had = len(tries.read_text())
        await until(lambda: len(tries.read_text()) > had + 3)
    assert hour(pricing) == 1.25
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the price of backend gpu stays 1.25 an hour: ")
    await spot.close()


async def test_a_reload_keeps_the_price_of_a_command_that_stays() -> None:
    pricing = Pricing(Prices(), asyncio.get_running_loop().time)
    spot = SpotPrices(pricing, prices_of("echo 3"))
    spot.start()
    await until(lambda: hour(pricing) == 3.0)
    spot.use(prices_of("echo 3", hour=7.0))
    assert hour(pricing) == 3.0
    spot.use(prices_of("echo 4", hour=7.0))
    assert hour(pricing) == 7.0
    await until(lambda: hour(pricing) == 4.0)
    spot.use(Prices())
    assert pricing.prices.of("gpu", "m") is None
    await spot.close()


async def test_a_command_that_hangs_is_stopped_with_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(PriceError, match=r"longer than 0\.3 s"):
        await printed_price(f"sleep 1000 & echo $! > {child}; wait", 0.3)
    pid = int(child.read_text())

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"

    await until(gone)


@pytest.mark.parametrize(("command", "why"), [
    ("echo -1", "no price"),
    ("echo nan", "no price"),
    ("echo inf", "no price"),
    ("echo cheap", "no price"),
    ("true", "no price"),
    ("echo 1; exit 3", "status 3"),
    ("no-such-command-anywhere", "status 127"),
    ("yes", "more than a price"),
])  # fmt: skip
async def test_what_is_no_price(command: str, why: str) -> None:
    with pytest.raises(PriceError, match=why):
        await printed_price(command, 10.0)


async def test_spaces_around_a_price_do_no_harm() -> None:
    assert await printed_price("echo '  0.75 '", 10.0) == 0.75
