"""Numbers that backends report: only those that can be true are used."""

from __future__ import annotations

import msgspec
import pytest

from headway.engines.measured_cost import MeasuredCost
from headway.engines.reported import reported_count


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b"0", 0),
        (b"7", 7),
        (b"1000000000", 10**9),
        (b"1000000001", None),
        (b"1" + b"0" * 400, None),
        (b"1" + b"0" * 9000, None),
        (b"-1", None),
        (b"1.5", None),
        (b"1e999", None),
        (b"true", None),
        (b'"7"', None),
        (b"null", None),
        (b"[]", None),
        (b"", None),
        (None, None),
    ],
)
def test_a_count_is_an_integer_up_to_a_billion(raw: bytes | None, count: int | None) -> None:
    assert reported_count(None if raw is None else msgspec.Raw(raw)) == count


@pytest.mark.parametrize("tokens", [-5, 0, 10**10])
@pytest.mark.parametrize("took_s", [-1.0, 0.0, float("nan"), float("inf"), 1e300])
def test_an_impossible_speed_is_not_learned(tokens: int, took_s: float) -> None:
    cost = MeasuredCost()
    cost.decoded(tokens, took_s)
    cost.prefilled(tokens, took_s)
    cost.decoded(20, took_s)
    cost.decoded(tokens, 1.0)
    assert cost.model == MeasuredCost().model
