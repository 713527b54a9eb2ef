"""What the scheduler is told of lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.simulation.conftest import trace

from headway.prediction.learning.evaluation import kendall_tau
from headway.simulation.errors import SimulationError
from headway.simulation.foresight import Foresight, foresight_of
from headway.simulation.trace import Trace

LENGTHS = np.random.default_rng(0).lognormal(5.0, 1.0, 400).astype(int) + 1
TRACE = trace(np.arange(400), LENGTHS)


def means(foresight: Foresight, of: Trace = TRACE) -> np.ndarray:
    return np.array([foresight.foretell(number)[0].mean for number in range(len(of))])


def test_an_oracle_knows() -> None:
    assert means(foresight_of("oracle", TRACE)).tolist() == LENGTHS.tolist()


def test_noise_errs_as_much_as_it_says() -> None:
    taus = [
        kendall_tau(means(foresight_of(f"noise:{octaves}", TRACE, seed=1)), LENGTHS)
        for octaves in (0.2, 1.0, 3.0)
    ]
    assert taus == sorted(taus, reverse=True)
    assert taus[0] > 0.85 and taus[-1] < 0.5


def test_history_learns_as_requests_end() -> None:
    history = foresight_of("history", TRACE)
    before = history.foretell(0)[0].mean
    for _ in range(50):
        history.finished(int(LENGTHS.argmax()))
    assert history.foretell(0)[0].mean > 2 * before


def test_recorded_errors_are_those_of_the_record(tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    classes = np.where(LENGTHS > 200, 1, 0)
    rows = zip(LENGTHS.tolist(), classes.tolist(), strict=True)
    lines = ["output_tokens,pred_multi_class", *(f"{real},{foretold}" for real, foretold in rows)]
    path.write_text("\n".join(lines))
    foretold = means(foresight_of(f"recorded:{path}", TRACE))
    assert len(set(foretold.round(6).tolist())) == 2
    assert 0.4 < kendall_tau(foretold, LENGTHS) < 0.9


@pytest.mark.parametrize("kind", ["", "noise", "noise:-1", "oracle:1", "recorded:"])
def test_others_are_refused(kind: str) -> None:
    with pytest.raises(SimulationError, match="there are oracle, history"):
        foresight_of(kind, TRACE)


def test_a_record_without_its_columns_is_named(tmp_path: Path) -> None:
    path = tmp_path / "record.csv"
    path.write_text("output_tokens\n1\n")
    with pytest.raises(SimulationError, match="no column 'pred_multi_class'"):
        foresight_of(f"recorded:{path}", TRACE)
