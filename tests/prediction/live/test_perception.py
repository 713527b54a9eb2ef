"""A model's own guess of the length of its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.live.perception import calibration_of_guesses, score_of, words_guessed


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("120", 120),
        ("About 1,200 words.", 1200),
        ("It will have 50 to 60 words", 50),
        ("I cannot say.", None),
        ("", None),
        ("0", None),
        ("²", None),
    ],
)
def test_the_first_number_of_a_reply_is_the_guess(reply: str, words: float | None) -> None:
    assert words_guessed(reply) == words


@given(st.integers(1, 10**30))
def test_lengths_lie_around_any_guess(words: int) -> None:
    score = score_of(words)
    estimate = calibration_of_guesses().estimate(score)
    assert 0.0 <= score <= 15.0
    assert sum(estimate.weights) == pytest.approx(1.0)
    assert estimate.quantile(0.1) < estimate.quantile(0.9)


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_more_words_are_never_fewer_tokens(one: int, other: int) -> None:
    means = [calibration_of_guesses().estimate(score_of(words)).mean for words in (one, other)]
    assert (means[0] <= means[1]) if one <= other else (means[0] >= means[1])
