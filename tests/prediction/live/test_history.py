"""Estimates from the lengths seen so far."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.live.history import BIN_TOKENS, LengthHistory, Origin, bin_of, template_hash


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


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
    system = {"role": "system", "content": "You grade essays. " * 20}
    one = {"messages": raw([system, {"role": "user", "content": "first"}])}
    two = {"messages": raw([system, {"role": "user", "content": "second"}])}
    other = {"messages": raw([{"role": "user", "content": "first"}])}
    assert template_hash("chat", one) == template_hash("chat", two)
    assert template_hash("chat", one) != template_hash("chat", other)


def test_the_hash_is_of_the_text_and_not_of_the_json_notation() -> None:
    spaced = b'[ {"content" : "You gr\\u00e4de 12 essays.", "role": "system"}, {"role": "user"} ]'
    parts = [{"type": "text", "text": "You gräde 34 essays."}]
    first, second = (
        {"messages": raw([{"role": role, "content": content}])}
        for role, content in (("system", "You gräde 99 essays."), ("developer", parts))
    )
    assert template_hash("chat", {"messages": msgspec.Raw(spaced)}) == template_hash("chat", first)
    assert template_hash("chat", first) == template_hash("chat", second)


def test_a_system_message_counts_wherever_it_is_and_else_the_first_message() -> None:
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}
    late = {"messages": raw([user, system])}
    assert template_hash("chat", late) == template_hash("chat", {"messages": raw([system])})
    turns = {"messages": raw([user, {"role": "assistant", "content": "Hi"}])}
    assert template_hash("chat", turns) == template_hash("chat", {"messages": raw([user])})
    assert template_hash("chat", turns) == template_hash("completion", {"prompt": raw("Hello")})


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("chat", {}),
        ("chat", {"messages": raw([])}),
        ("chat", {"messages": raw([{"role": "user", "content": None}])}),
        ("chat", {"messages": raw("no list")}),
        ("chat", {"messages": msgspec.Raw(b'[{"content":' + b"[" * 9999 + b"]" * 9999 + b"}]")}),
        ("completion", {}),
        ("completion", {"prompt": raw([1, 2, 3])}),
    ],
)
def test_a_prompt_without_text_has_a_hash(kind: str, fields: dict[str, msgspec.Raw]) -> None:
    assert template_hash(kind, fields) == template_hash("completion", {"prompt": raw("")})
    template_hash("completion", {"prompt": msgspec.Raw(b'"\\ud800 alone"')})


def test_names_that_clients_choose_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.prediction.live.history.REMEMBERED_KEYS", 16)
    history = LengthHistory()
    for number in range(100):
        history.observe(Origin("m", f"tenant{number}", number, f"program{number}"), 10)
        assert len(history._histograms) <= 16 and len(history._steps) <= 16
