"""Predictors learned beside the gateway: swapped in when better, never in the way."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import msgspec
import pytest
from tests.prediction.conftest import examples, live_predictor

from headway.gateway.refits import LEAST_ANSWERS, Refits
from headway.prediction.artefact import shipped
from headway.prediction.logged import logged_features
from headway.store.request_log import RequestLog, RequestRecord

MODEL = "org/model"


@pytest.fixture
def request_log(tmp_path: Path) -> Path:
    log = RequestLog(tmp_path / "requests.db")
    source = examples(LEAST_ANSWERS)
    for number, (prompt, length) in enumerate(zip(source.prompts, source.lengths, strict=True)):
        messages = msgspec.json.encode([{"role": "user", "content": prompt.text}])
        log.write(
            RequestRecord(
                id=f"r{number}",
                arrival_unix_s=float(number),
                tier="standard",
                model=MODEL,
                output_tokens=int(length),
                outcome="finished",
                status=200,
            ),
            partial(logged_features, "chat", {"messages": msgspec.Raw(messages)}),
        )
    log.close()
    return log.path


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


async def test_a_damaged_predictor_is_passed_over(tmp_path: Path, caplog) -> None:
    prior = shipped()
    live = live_predictor(prior)
    refits = Refits(live, tmp_path / "requests.db", tmp_path)
    refits.path_of(MODEL).write_bytes(b"not a predictor")
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


async def test_closing_ends_what_is_under_way(request_log: Path) -> None:
    refits = Refits(live_predictor(shipped()), request_log, request_log.parent)
    for _ in range(LEAST_ANSWERS):
        refits.answered(MODEL)
    await refits.close()
    assert refits._task is None
