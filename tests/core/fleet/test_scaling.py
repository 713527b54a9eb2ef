"""The rule by which replicas start and drain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headway.core.fleet.scaling import Scaling

ZERO = Scaling(0, 3, cold_start_s=5.0, idle_s=10.0, backlog_s=2.0)


@pytest.mark.parametrize(
    ("on", "requests", "waiting_s", "wanted"),
    [
        (0, 0, 0.0, 0),
        (0, 1, 0.1, 1),
        (1, 20, 8.0, 1),  # 2 s for each of 4 slots
        (1, 20, 8.1, 2),
        (1, 5, 60.0, 2),  # more could not run more of them
        (1, 50, 900.0, 3),
        (2, 0, 0.0, 2),  # an unneeded replica drains when it is spare, not before
    ],
)
def test_the_rule_by_which_replicas_are_started(
    on: int, requests: int, waiting_s: float, wanted: int
) -> None:
    assert ZERO.wanted(on, 4, requests, waiting_s) == wanted


@pytest.mark.parametrize(
    ("on", "requests", "waiting_s", "spare"),
    [
        (1, 0, 0.0, True),
        (1, 1, 0.0, False),
        (2, 4, 0.0, True),
        (2, 5, 0.0, False),
        (2, 1, 0.1, False),
    ],
)
def test_the_rule_by_which_one_is_spare(
    on: int, requests: int, waiting_s: float, spare: bool
) -> None:
    assert ZERO.spare(on, 4, requests, waiting_s) is spare
    assert not replace(ZERO, least=on).spare(on, 4, requests, waiting_s)
