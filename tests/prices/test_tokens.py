"""Prices of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.prices.file import read_prices
from headway.prices.hours import HourlyPrice
from headway.prices.table import BackendPrice, Prices
from headway.prices.tokens import PriceError, TokenPrice, Tokens

COUNTS = st.integers(0, 10**9)


def test_the_cost_of_tokens() -> None:
    price = TokenPrice(input=2.0, output=8.0, cached_input=0.5)
    assert price.cost(Tokens(prompt=1_000_000)) == 2.0
    assert price.cost(Tokens(output=500_000)) == 4.0
    assert price.cost(Tokens(prompt=1000, cached=400, output=10)) == pytest.approx(0.00148)


def test_cached_tokens_cost_what_others_do_unless_they_have_a_price() -> None:
    assert TokenPrice(2.0, 8.0).cost(Tokens(10, 10)) == TokenPrice(2.0, 8.0).cost(Tokens(10))


@given(COUNTS, COUNTS, COUNTS)
def test_more_cached_than_there_are_cost_no_less_than_all_of_them(
    prompt: int, cached: int, output: int
) -> None:
    price = TokenPrice(1.0, 2.0, 0.25)
    assert price.cost(Tokens(prompt, cached, output)) >= price.cost(Tokens(prompt, prompt, output))


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_price_is_a_number_from_0_on(wrong: float) -> None:
    for prices in ((wrong, 1.0), (1.0, wrong), (1.0, 1.0, wrong)):
        with pytest.raises(PriceError, match="from 0 on"):
            TokenPrice(*prices)
    with pytest.raises(PriceError, match="an hour"):
        HourlyPrice(wrong)


def test_the_price_on_a_backend_goes_before_its_hours_and_those_before_the_models() -> None:
    here, anywhere, hour = TokenPrice(1, 1), TokenPrice(2, 2), HourlyPrice(3.0)
    prices = Prices({"m": anywhere, "n": anywhere}, {"gpu": BackendPrice({"m": here}, hour)})
    assert prices.of("gpu", "m") is here
    assert prices.of("gpu", "n") is hour
    assert prices.of("gpu", "unknown") is hour
    assert prices.of("other", "n") is anywhere
    assert prices.of("other", "unknown") is None


def test_prices_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("big: {input: 10, output: 20, cached_input: 1}\nsmall: {input: 1, output: 2}\n")
    assert read_prices(file) == {"big": TokenPrice(10, 20, 1), "small": TokenPrice(1, 2)}


@pytest.mark.parametrize("text", [
    "big: {input: 10, out: 20}",
    "big: {input: 10}",
    "big: {input: -1, output: 1}",
    "big: cheap",
    "- big",
    "big: {",
])  # fmt: skip
def test_a_file_that_holds_no_prices_says_what_to_write(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(PriceError, match="write MODEL"):
        read_prices(file)
    with pytest.raises(PriceError, match="write MODEL"):
        read_prices(tmp_path / "missing.yaml")
