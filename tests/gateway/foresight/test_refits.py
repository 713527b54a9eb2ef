"""Predictors learned beside the gateway: swapped in when better, never in the way."""

from __future__ import annotations

import logging
from importlib.resources import files
from importlib.util import find_spec
from io import BytesIO
from math import ceil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.prediction.conftest import examples, live_predictor, write_log

from headway.extras import install_extra
from headway.gateway.foresight import refits as module
from headway.gateway.foresight.refits import GROWTH, LEAST_ANSWERS, Refits
from headway.prediction.models.artefact import save, shipped
from headway.prediction.models.predictor import Predictor

MODEL = "org/model"


@pytest.fixture
def request_log(tmp_path: Path) -> Path:
    write_log(tmp_path / "requests.db", examples(LEAST_ANSWERS), MODEL)
    return tmp_path / "requests.db"


async def test_after_enough_answers_a_better_predictor_takes_over(
    request_log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    prior = shipped()
    live = live_predictor(prior)
    refits = Refits(live, request_log, request_log.parent / "predictors")
    refits.start()
    for _ in range(LEAST_ANSWERS):
        refits.answered(MODEL)
    assert refits._task is not None
    await refits._task
    assert refits.replaced == 1, caplog.text
    assert live.predictor_of(MODEL).card.target == MODEL
    assert live.predictor_of("another") is prior
    assert "was replaced" in caplog.text

    restarted = live_predictor(prior)
    Refits(restarted, request_log, request_log.parent / "predictors").start()
    assert restarted.predictor_of(MODEL).card.target == MODEL


def an_array() -> bytes:
    file = BytesIO()
    np.save(file, np.arange(9))
    return file.getvalue()


def with_flipped_bytes() -> bytes:
    content = bytearray((files("headway.prediction") / "data" / "prior.npz").read_bytes())
    content[len(content) // 2 :: 1000] = b"\xff" * len(content[len(content) // 2 :: 1000])
    return bytes(content)


@pytest.mark.parametrize("content", [b"not a predictor", an_array(), with_flipped_bytes()])
async def test_a_damaged_predictor_is_passed_over(content: bytes, tmp_path: Path, caplog) -> None:
    prior = shipped()
    live = live_predictor(prior)
    refits = Refits(live, tmp_path / "requests.db", tmp_path)
    refits.path_of(MODEL).write_bytes(content)
    refits.start()
    assert live.predictor_of(MODEL) is prior
    assert "is not used" in caplog.text


async def test_a_log_without_the_model_is_one_warning(request_log: Path, caplog) -> None:
    refits = Refits(live_predictor(shipped()), request_log, request_log.parent)
    for _ in range(LEAST_ANSWERS):
        refits.answered("unheard-of")
    assert refits._task is not None
    await refits._task
    assert "holds no finished request of 'unheard-of'" in caplog.text
    assert (refits.replaced, refits.kept) == (0, 0)


async def test_a_restart_does_not_learn_again_what_was_learned(request_log: Path) -> None:
    prior = shipped()
    card = msgspec.structs.replace(prior.card, target=MODEL, examples=200)  # of 250
    refits = Refits(live_predictor(prior), request_log, request_log.parent)
    save(Predictor(prior.model, prior.calibration, card), refits.path_of(MODEL))
    refits.start()
    for _ in range(LEAST_ANSWERS):  # which the log does not hold
        refits.answered(MODEL)
    assert refits._task is not None
    await refits._task
    assert (refits.replaced, refits.kept) == (0, 0)
    missing = ceil(LEAST_ANSWERS * GROWTH) + LEAST_ANSWERS
    write_log(request_log, examples(missing), MODEL)
    for _ in range(missing):
        assert refits._task is None
        refits.answered(MODEL)
    assert refits._task is not None
    await refits._task
    assert refits.replaced + refits.kept == 1


async def test_what_was_learned_is_used_where_nothing_can_be_learned(
    request_log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name == "sklearn" else find_spec(name)
    )
    prior = shipped()
    card = msgspec.structs.replace(prior.card, target=MODEL)
    live = live_predictor(prior)
    refits = Refits(live, request_log, request_log.parent)
    save(Predictor(prior.model, prior.calibration, card), refits.path_of(MODEL))
    refits.start()
    assert live.predictor_of(MODEL).card.target == MODEL
    assert f"do not learn from the traffic: run {install_extra('predict')}" in caplog.text
    for _ in range(LEAST_ANSWERS):
        refits.answered(MODEL)
    assert refits._task is None


async def test_one_that_takes_too_long_is_given_up(
    request_log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LIMIT_S", 0.01)
    refits = Refits(live_predictor(shipped()), request_log, request_log.parent)
    for model in (MODEL, "another"):
        for _ in range(LEAST_ANSWERS):
            refits.answered(model)
        assert refits._task is not None
        await refits._task
        assert f"no new predictor of {model}: it took more than" in caplog.text
    assert (refits.replaced, refits.kept) == (0, 0)


async def test_closing_ends_what_is_under_way(request_log: Path) -> None:
    refits = Refits(live_predictor(shipped()), request_log, request_log.parent)
    for _ in range(LEAST_ANSWERS):
        refits.answered(MODEL)
    await refits.close()
    assert refits._task is None
