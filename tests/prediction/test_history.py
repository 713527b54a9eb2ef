"""Estimates from the lengths seen so far."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.history import BIN_TOKENS, LengthHistory, bin_of, template_hash


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def test_without_history_the_estimate_is_wide_and_around_chat_length() -> None:
    estimate = LengthHistory().estimate("m", "t", 1, None)
    assert 100 < estimate.mean < 400
    assert estimate.quantile(0.1) < 64 < 256 < estimate.quantile(0.9)


def test_a_template_with_short_answers_is_told_from_one_with_long_answers() -> None:
    history = LengthHistory()
    for _ in range(50):
        history.observe("m", "t", 1, 10)
        history.observe("m", "t", 2, 1000)
    assert history.estimate("m", "t", 1, None).mean * 5 < history.estimate("m", "t", 2, None).mean


def test_an_unseen_template_leans_on_its_tenant_and_an_unseen_tenant_on_the_model() -> None:
    history = LengthHistory()
    for _ in range(200):
        history.observe("m", "t", 1, 12)
    for tenant, template in (("t", 99), ("other", 99)):
        assert history.estimate("m", tenant, template, None).quantile(0.5) <= 16


def test_max_tokens_caps_the_estimate() -> None:
    assert LengthHistory().estimate("m", "t", 1, 20).longest == 20


def test_the_estimate_follows_traffic_that_changes() -> None:
    history = LengthHistory()
    for _ in range(5000):
        history.observe("m", "t", 1, 1000)
    for _ in range(3000):
        history.observe("m", "t", 1, 10)
    assert history.estimate("m", "t", 1, None).quantile(0.5) <= 16


@given(st.integers(0, 10**6))
def test_every_length_falls_into_the_nearest_bin(tokens: int) -> None:
    middle = BIN_TOKENS[bin_of(tokens)]
    others = [abs(max(1, tokens) / b if b < tokens else b / max(1, tokens)) for b in BIN_TOKENS]
    own = max(1, tokens) / middle if middle < tokens else middle / max(1, tokens)
    assert own == min(others)


def test_prompts_from_one_template_share_a_hash() -> None:
    system = {"role": "system", "content": "You grade essays. " * 20}
    one = {"messages": raw([system, {"role": "user", "content": "first"}])}
    two = {"messages": raw([system, {"role": "user", "content": "second"}])}
    other = {"messages": raw([{"role": "user", "content": "first"}])}
    assert template_hash("chat", one) == template_hash("chat", two)
    assert template_hash("chat", one) != template_hash("chat", other)
