"""A predictor, corrected by recent answers."""

import numpy as np
import pytest
from tests.prediction.conftest import examples, live_predictor

from headway.prediction.learning.evaluation import kendall_tau
from headway.prediction.live.evidence import SUREST
from headway.prediction.live.history import LengthHistory, Origin
from headway.prediction.live.live_predictor import LivePredictor, Look
from headway.prediction.texts.prompt import Prompt

WORDY, TERSE = Origin("wordy", "t", 1), Origin("m", "t", 7)


def read(live: LivePredictor, prompts):
    return live.read([("m", prompt) for prompt in prompts])


def essay(live: LivePredictor):
    (reading,) = read(live, [Prompt("Write a long essay about maps in detail.")])
    return reading


def test_answers_of_a_wordier_model_correct_the_scale(predictor) -> None:
    history = LengthHistory()
    live = live_predictor(predictor, history)
    first, later = examples(150, seed=6), examples(150, seed=7)

    def forecasts(source):
        return [live.forecast(p, WORDY) for p in read(live, source.prompts)]

    for prompt, length in zip(first.prompts, first.lengths, strict=True):
        (reading,) = read(live, [prompt])
        forecast = live.forecast(reading, WORDY)
        live.observe(forecast, WORDY, round(4 * length))
        history.observe(WORDY, round(4 * length))
    learned = forecasts(later)
    errors = np.log2(4 * later.lengths) - [forecast.score for forecast in learned]
    assert np.mean(errors) == pytest.approx(0.0, abs=0.4)
    assert kendall_tau(np.array([f.score for f in learned]), later.lengths) > 0.7


def test_a_template_with_one_length_is_known_by_its_history(predictor) -> None:
    history = LengthHistory()
    live = live_predictor(predictor, history)
    reading = essay(live)
    for _ in range(60):
        live.observe(live.forecast(reading, TERSE), TERSE, 5)
        history.observe(TERSE, 5)
    assert live.forecast(reading, TERSE).estimate.quantile(0.5) == 5


@pytest.mark.parametrize("right", ["of_prompt", "of_history"])
def test_no_forecast_is_ever_left_out(predictor, right: str) -> None:
    live = live_predictor(predictor)
    reading = essay(live)
    for _ in range(200):
        forecast = live.forecast(reading, TERSE)
        live.observe(forecast, TERSE, getattr(forecast, right).quantile(0.5))
    forecast = live.forecast(reading, TERSE)
    parts = zip(forecast.of_prompt.weights, forecast.of_history.weights, strict=True)
    for weight, (of_prompt, of_history) in zip(forecast.estimate.weights, parts, strict=True):
        assert weight >= 0.99 * SUREST * max(of_prompt, of_history)


def test_answers_cut_off_early_do_not_change_predictions(predictor) -> None:
    live = live_predictor(predictor)
    reading = essay(live)
    before = live.forecast(reading, TERSE)
    for _ in range(200):
        live.observe(live.forecast(reading, TERSE), TERSE, 8, cut_off=True)
    assert live.forecast(reading, TERSE).score == pytest.approx(before.score, abs=0.3)


def test_answers_cut_off_beyond_the_prediction_make_it_longer(predictor) -> None:
    live = live_predictor(predictor)
    (reading,) = read(live, [Prompt("Is glass older than paper? Answer yes or no.")])
    before = live.forecast(reading, TERSE)
    for _ in range(50):
        live.observe(live.forecast(reading, TERSE), TERSE, 256, cut_off=True)
    assert live.forecast(reading, TERSE).score > before.score + 1.0


def test_answers_cut_off_early_do_not_correct_the_refinement(predictor) -> None:
    live = live_predictor(predictor)
    reading = essay(live)
    look = Look(16, 0.0, live.forecast(reading, TERSE).estimate)
    before = live.refined(look, "m")
    for _ in range(200):
        live.looked([look], "m", 20, cut_off=True)
    assert live.refined(look, "m") == before
