"""Profiles: read as they were written, and what makes no sense in one is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.lab.simulation.conftest import SMALL

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.profile import FROM_ZERO_ON, Profile, read_profile, write_profile
from headway.lab.simulation.profiles import load_profile, names


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(write_profile(SMALL)) | fields).encode()


def test_a_profile_is_read_as_it_was_written() -> None:
    used = replace(SMALL)
    used.dense(3)  # which it remembers, and does not write
    assert read_profile(write_profile(used), "file") == SMALL


def test_beyond_its_points_an_iteration_takes_no_less_time() -> None:
    points = replace(SMALL, dense_tokens=(1.0, 4.0, 8.0), dense_s=(0.010, 0.020, 0.019))
    assert [points.dense(1), points.dense(2), points.dense(8)] == pytest.approx(
        [0.01, 0.0133, 0.019], rel=0.01
    )
    assert points.dense(2048) == 0.019, "a straight line would be negative"
    assert SMALL.dense(92) == pytest.approx(0.040 + 28 * (0.040 - 0.012) / 56)


@pytest.mark.parametrize("name", names())
def test_those_that_ship_can_be_read(name: str) -> None:
    assert load_profile(name).dense(1) > 0.0


@pytest.mark.parametrize("field", FROM_ZERO_ON)
def test_what_is_negative_is_named(field: str) -> None:
    with pytest.raises(SimulationError) as caught:
        read_profile(changed(**{field: -1}), "file")
    assert str(caught.value) == f"profile 'small': {field} is -1; give 0 or more"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kv_token": 100}, "file is no engine profile: it has a field 'kv_token', and there are"),
        ({"dense_s": [0.01, -0.012, 0.04]}, "dense_s are the seconds of an iteration, above 0"),
        ({"dense_s": [0, 0, 0]}, "dense_s are the seconds of an iteration, above 0"),
        ({"dense_s": [0.01]}, "dense_tokens and dense_s need the same number of points"),
        ({"dense_tokens": [1, 8, 8]}, "dense_tokens must rise"),
        ({"slots": 0}, "slots must be at least 1"),
        ({"slots": "many"}, "file is no engine profile: Expected `int`, got `str` - at `$.slots`"),
    ],
)
def test_mistakes_are_one_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(SimulationError) as caught:
        read_profile(changed(**fields), "file")
    assert says in str(caught.value)


@pytest.mark.parametrize("data", [b"{broken", b"[1]", b'{"name": "x"}'])
def test_what_is_no_profile_is_named(data: bytes) -> None:
    with pytest.raises(SimulationError, match="file is no engine profile"):
        read_profile(data, "file")


def test_times_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(SimulationError, match="request_s is nan; give 0 or more"):
        Profile("odd", (1.0,), (0.01,), request_s=float("nan"))
