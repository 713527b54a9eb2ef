"""Which prediction is assumed where none is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.lab.simulation.conftest import trace

from headway.lab.simulation.fair_prediction import assumed_prediction, history_octaves
from headway.lab.simulation.predictions import predictions_of

RNG = np.random.default_rng(0)
VARIED = trace(np.arange(400.0), RNG.lognormal(4.0, 1.5, 400).astype(int) + 1)
ALIKE = trace(np.arange(400.0), RNG.integers(90, 110, 400))


def test_what_is_asked_for_is_taken() -> None:
    assert assumed_prediction("oracle", VARIED).kind == "oracle"


def test_predictions_of_a_log_stand_for_themselves_if_most_requests_have_one() -> None:
    logged = replace(VARIED, predicted_tokens=np.full(400, 50.0))
    assert assumed_prediction("", logged).kind == "logged"
    few = np.where(np.arange(400) < 40, 50.0, 0.0)
    assert assumed_prediction("", replace(VARIED, predicted_tokens=few)).kind != "logged"


def test_history_stands_where_it_predicts_well() -> None:
    assert assumed_prediction("", ALIKE).kind == "history"
    tenants = [("short", "long")[number % 2] for number in range(400)]
    lengths = np.where(np.arange(400) % 2, 4000, 8)
    of_two = replace(trace(np.arange(400.0), lengths), tenants=tenants)
    assert assumed_prediction("", of_two).kind == "history"
    assert history_octaves(of_two) < 1.0 < history_octaves(replace(of_two, tenants=[]))


def test_a_fair_predictor_stands_for_all_others_and_the_result_says_so() -> None:
    assumed = assumed_prediction("", VARIED)
    assert assumed.kind == "noise:1"
    predictions_of(assumed.kind, VARIED)
    assert str(assumed).startswith("noise:1 (errors of a factor of two, as of a fair predictor")
