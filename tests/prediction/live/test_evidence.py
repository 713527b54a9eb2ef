"""Weighing two forecasts."""

import pytest

from headway.core.estimate import SizeEstimate
from headway.prediction.live.evidence import Evidence, mixed
from headway.prediction.models.bins import BIN_TOKENS, bin_of


def around(tokens: int) -> SizeEstimate:
    place = bin_of(tokens)
    return SizeEstimate(BIN_TOKENS, [0.5 ** abs(n - place) for n in range(len(BIN_TOKENS))])


def test_both_start_with_equal_weight() -> None:
    assert Evidence().weight("m", 1) == 0.5


def test_the_better_forecast_gains_weight() -> None:
    evidence = Evidence()
    for _ in range(10):
        evidence.observe("m", 1, around(50), around(500), 48)
    assert evidence.weight("m", 1) > 0.9
    for _ in range(40):
        evidence.observe("m", 1, around(50), around(500), 480)
    assert evidence.weight("m", 1) < 0.1


def test_a_new_template_starts_with_the_weight_of_its_model_only() -> None:
    evidence = Evidence()
    for _ in range(10):
        evidence.observe("m", 1, around(50), around(500), 48)
    assert evidence.weight("m", 2) == pytest.approx(evidence.weight("m", 1))
    assert evidence.weight("n", 1) == 0.5


def test_a_mixture_is_a_distribution_between_the_two() -> None:
    both = mixed(around(50), around(500), 0.25)
    assert sum(both.weights) == pytest.approx(1.0)
    expected = 0.25 * around(50).mean + 0.75 * around(500).mean
    assert both.mean == pytest.approx(expected)


def test_templates_that_clients_choose_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.prediction.live.evidence.REMEMBERED_KEYS", 16)
    evidence = Evidence()
    for template in range(100):
        evidence.observe("m", template, around(50), around(500), 48)
        assert len(evidence._weights) <= 16
