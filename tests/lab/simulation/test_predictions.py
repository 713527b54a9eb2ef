"""Predicted lengths for the scheduler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.lab.simulation.conftest import trace

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.predictions import Predictions, predictions_of
from headway.lab.simulation.trace import Trace
from headway.prediction.learning.evaluation import kendall_tau

LENGTHS = np.random.default_rng(0).lognormal(5.0, 1.0, 400).astype(int) + 1
TRACE = trace(np.arange(400), LENGTHS)


def means(predictions: Predictions, of: Trace = TRACE) -> np.ndarray:
    return np.array([predictions.predict(number)[0].mean for number in range(len(of))])


def test_an_oracle_knows() -> None:
    assert means(predictions_of("oracle", TRACE)).tolist() == LENGTHS.tolist()


def test_noise_errs_as_much_as_it_says() -> None:
    taus = [
        kendall_tau(means(predictions_of(f"noise:{octaves}", TRACE, seed=1)), LENGTHS)
        for octaves in (0.2, 1.0, 3.0)
    ]
    assert taus == sorted(taus, reverse=True)
    assert taus[0] > 0.85 and taus[-1] < 0.5


def test_history_learns_as_requests_end() -> None:
    history = predictions_of("history", TRACE)
    before = history.predict(0)[0].mean
    for _ in range(50):
        history.finished(int(LENGTHS.argmax()))
    assert history.predict(0)[0].mean > 2 * before


def test_recorded_errors_are_those_of_the_record(tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    classes = np.where(LENGTHS > 200, 1, 0)
    rows = zip(LENGTHS.tolist(), classes.tolist(), strict=True)
    lines = ["output_tokens,pred_multi_class", *(f"{real},{predicted}" for real, predicted in rows)]
    path.write_text("\n".join(lines))
    predicted = means(predictions_of(f"recorded:{path}", TRACE))
    assert len(set(predicted.round(6).tolist())) == 2
    assert 0.4 < kendall_tau(predicted, LENGTHS) < 0.9


def test_a_record_without_an_answer_is_not_one_of_a_short_one(tmp_path: Path) -> None:
    answers = "output_tokens,pred_multi_class\n50,0\n400,1\n"
    for name, rows in {"whole.csv": "", "failed.csv": "-1,0\n0,1\nnan,0\n"}.items():
        (tmp_path / name).write_text(answers + rows)
    whole, failed = (
        means(predictions_of(f"recorded:{tmp_path / name}", TRACE))
        for name in ("whole.csv", "failed.csv")
    )
    assert np.array_equal(whole, failed)
    (tmp_path / "none.csv").write_text("output_tokens,pred_multi_class\n-1,0\n")
    with pytest.raises(SimulationError, match=r"none\.csv holds no length of 1 token or more"):
        predictions_of(f"recorded:{tmp_path}/none.csv", TRACE)


@pytest.mark.parametrize("kind", ["", "noise", "noise:-1", "oracle:1", "recorded:"])
def test_others_are_refused(kind: str) -> None:
    with pytest.raises(SimulationError, match="there are oracle, history"):
        predictions_of(kind, TRACE)


def test_a_record_without_its_columns_is_named(tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    path.write_text("output_tokens\n1\n")
    with pytest.raises(SimulationError, match="no column 'pred_multi_class'"):
        predictions_of(f"recorded:{path}", TRACE)
