import random
from collections import Counter

import pytest

from headway.lab.loadtest.mix import Mix, MixError


def test_shares_are_dealt_exactly_in_random_order() -> None:
    names = Mix.parse("interactive=0.2, standard=0.5, batch=0.3").deal(100, random.Random(1))
    assert Counter(names) == {"interactive": 20, "standard": 50, "batch": 30}
    assert names[:20] != ["interactive"] * 20


def test_shares_are_relative_and_rounding_loses_nobody() -> None:
    names = Mix.parse("a=1,b=1,c=1").deal(10, random.Random(1))
    assert sorted(Counter(names).values()) == [3, 3, 4]


def test_one_name_alone_gets_everything_and_an_empty_mix_names_nobody() -> None:
    assert Mix.parse("batch").deal(2, random.Random(1)) == ["batch", "batch"]
    assert Mix.parse("").deal(2, random.Random(1)) == ["", ""]


@pytest.mark.parametrize("text", ["a=much", "a=-1", "a,b", "=1", "a=1,a=2", "a=nan", "a=inf"])
def test_bad_shares_are_named(text: str) -> None:
    with pytest.raises(MixError, match="share"):
        Mix.parse(text)
