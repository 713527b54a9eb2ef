"""Patience: how long an answer may be silent."""

from __future__ import annotations

from headway.engines.patience import LEAST_S, Patience


def test_the_operator_s_limits_hold() -> None:
    patience = Patience(first_byte_s=3.0, idle_s=1.0)
    patience.observe(100.0, 100.0)
    assert patience.first_byte_s(1000.0) == 3.0
    assert patience.idle_s() == 1.0


def test_a_minute_is_allowed_before_anything_is_known() -> None:
    patience = Patience()
    assert patience.first_byte_s(0.0) == patience.idle_s() == LEAST_S
    assert patience.first_byte_s(100.0) == LEAST_S + 300.0, "and what the work takes, generously"


def test_a_backend_that_is_always_slow_gets_its_time() -> None:
    patience = Patience()
    for _ in range(150):
        patience.observe(30.0, 20.0)
    patience.observe(600.0, 600.0)
    assert patience.first_byte_s(0.0) == 150.0, "one that was worse than 99 of 100 does not count"
    assert patience.idle_s() == 100.0
    assert patience.suspect_s() == 60.0
