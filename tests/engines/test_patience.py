"""Patience: how long an answer may be silent."""

from __future__ import annotations

from headway.engines.patience import ANSWERS_TO_MOVE, LEAST_S, LEAST_TO_MOVE_S, Patience


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


def answered(first_byte_s: float, answers: int = ANSWERS_TO_MOVE) -> Patience:
    patience = Patience()
    for _ in range(answers):
        patience.observe(first_byte_s, 0.1)
    return patience


def test_where_another_backend_can_answer_the_limit_is_a_few_times_what_answers_take() -> None:
    like = [answered(0.3)]
    assert answered(0.3).first_byte_s(0.0, like) == LEAST_TO_MOVE_S
    assert answered(4.0).first_byte_s(1.0, like) == 20.0 + 3.0
    assert answered(0.3).first_byte_s(0.0) == LEAST_S, "else it would only fail"


def test_a_backend_without_answers_is_judged_by_those_of_its_like() -> None:
    assert Patience().first_byte_s(0.0, [answered(0.3), answered(4.0)]) == 20.0
    assert answered(8.0, answers=3).first_byte_s(0.0, [answered(0.3)]) == 40.0
    assert Patience().first_byte_s(0.0, [Patience(), answered(0.3, answers=3)]) == LEAST_S


def test_the_operator_s_limit_holds_for_those_that_can_move_too() -> None:
    assert Patience(first_byte_s=300.0).first_byte_s(0.0, [answered(0.3)]) == 300.0
