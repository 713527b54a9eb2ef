"""Oracle gain captured."""

import pytest

from headway.lab.report.gain import gain_captured


def test_it_is_a_share_of_what_there_is_to_gain() -> None:
    assert gain_captured(10.0, 6.0, 5.0) == pytest.approx(0.8)
    assert gain_captured(10.0, 10.0, 5.0) == 0.0


def test_there_is_none_where_the_oracle_gains_nothing() -> None:
    assert gain_captured(5.0, 6.0, 10.0) is None
    assert gain_captured(10.0, 5.0, 9.9) is None
