"""Estimates from the lengths seen so far."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.live.history import BIN_TOKENS, LengthHistory, Origin, bin_of, template_hash


def test_without_history_the_estimate_is_wide_and_around_chat_length() -> None:
    estimate = LengthHistory().estimate(Origin("m", "t", 1), None)
    assert 100 < estimate.mean < 400
    assert estimate.quantile(0.1) < 64 < 256 < estimate.quantile(0.9)


def test_templates_with_short_and_long_answers_are_distinguished() -> None:
    history = LengthHistory()
    for _ in range(50):
        history.observe(Origin("m", "t", 1), 10)
        history.observe(Origin("m", "t", 2), 1000)
    assert (
        history.estimate(Origin("m", "t", 1), None).mean * 5
        < history.estimate(Origin("m", "t", 2), None).mean
    )


def test_a_new_template_follows_its_tenant_and_a_new_tenant_the_model() -> None:
    history = LengthHistory()
    for _ in range(200):
        history.observe(Origin("m", "t", 1), 12)
    for tenant, template in (("t", 99), ("other", 99)):
        assert history.estimate(Origin("m", tenant, template), None).quantile(0.5) <= 13


def test_the_calls_of_a_program_count_as_similar() -> None:
    history = LengthHistory()
    for call in range(40):
        history.observe(Origin("m", "t", 1, f"program-{call % 2}"), (20, 500)[call % 2])
    terse, wordy, new = (
        history.estimate(Origin("m", "t", 1, f"program-{n}"), None).quantile(0.5) for n in range(3)
    )
    assert terse < 30 <= new <= wordy
    assert wordy > 400


def test_the_same_step_of_other_programs_counts_as_similar() -> None:
    history = LengthHistory()
    for number in range(20):
        for tokens in (20, 500):
            history.observe(Origin("m", "t", 1, f"program-{number}"), tokens)
    new = Origin("m", "t", 1, "new")
    assert history.estimate(new, None).quantile(0.5) < 30
    history.observe(new, 20)
    assert history.estimate(new, None).quantile(0.5) > 400


def test_a_new_step_is_predicted_from_the_program_so_far() -> None:
    history = LengthHistory()
    for _ in range(40):
        history.observe(Origin("m", "t", 1, "short"), 20)
    for _ in range(200):
        history.observe(Origin("m", "t", 1), 500)
    assert history.estimate(Origin("m", "t", 1, "short"), None).quantile(0.5) < 30


def test_answers_cut_off_early_do_not_change_the_estimate() -> None:
    history = LengthHistory()
    for _ in range(200):
        history.observe(Origin("m", "t", 1), 8, cut_off=True)
    assert history.estimate(Origin("m", "t", 1), None) == LengthHistory().estimate(
        Origin("m", "t", 1), None
    )


def test_where_most_answers_are_cut_off_at_one_limit_they_count_at_it() -> None:
    history = LengthHistory()
    for number in range(200):
        cut_off = number % 10 > 0
        history.observe(Origin("m", "t", 1), 256 if cut_off else 20, cut_off)
    assert history.estimate(Origin("m", "t", 1), None).quantile(0.5) == 256


def test_a_low_limit_does_not_make_few_short_answers_typical() -> None:
    history = LengthHistory()
    for number in range(400):
        cut_off = number % 10 > 0
        history.observe(Origin("m", "t", 1), 100 if cut_off else 20, cut_off)
    assert history.estimate(Origin("m", "t", 1), None).quantile(0.5) >= 100


def test_max_tokens_caps_the_estimate() -> None:
    assert LengthHistory().estimate(Origin("m", "t", 1), 20).longest == 20


def test_the_estimate_follows_traffic_that_changes() -> None:
    history = LengthHistory()
    for _ in range(5000):
        history.observe(Origin("m", "t", 1), 1000)
    for _ in range(3000):
        history.observe(Origin("m", "t", 1), 10)
    assert history.estimate(Origin("m", "t", 1), None).quantile(0.5) <= 13


@given(st.integers(1, BIN_TOKENS[-1]))
def test_a_bin_reaches_up_to_its_edge_and_is_at_most_a_fifth_wide(tokens: int) -> None:
    edge = BIN_TOKENS[bin_of(tokens)]
    assert tokens <= edge <= max(tokens + 1, 1.2 * tokens)


def test_a_request_of_typical_length_is_not_expected_to_go_on_for_long() -> None:
    history = LengthHistory()
    for _ in range(100):
        history.observe(Origin("m", "t", 1), 200)
    estimate = history.estimate(Origin("m", "t", 1), None)
    assert estimate.remaining_mean(199) < 60


def test_prompts_from_one_template_share_a_hash() -> None:
    template = "You grade essays. " * 20
    assert template_hash(template + "first") == template_hash(template + "second")
    assert template_hash(template) != template_hash("first")
    assert template_hash("You gräde 12 essays.") == template_hash("You gräde 99 essays.")


@pytest.mark.parametrize("text", ["", "\ud800 alone"])
def test_any_text_has_a_hash(text: str) -> None:
    assert template_hash(text) == template_hash(text)


def test_names_that_clients_choose_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.prediction.live.history.REMEMBERED_KEYS", 16)
    history = LengthHistory()
    for number in range(100):
        history.observe(Origin("m", f"tenant{number}", number, f"program{number}"), 10)
        assert len(history._histograms) <= 16 and len(history._steps) <= 16
